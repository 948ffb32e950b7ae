//! One request in, one answer out.
//!
//! Which route a method and a path mean is a pure function over a table ([`find`]); what a reading
//! route answers is made from one snapshot, without waiting. Only a change waits, for its body, and
//! both its size and its time are bounded.
//!
//! A change is refused in this order: wrong method (405), no right (401, 403), and only then is its
//! body read (408, 413, 400). So nobody without the token can make us read more than a header.
//! An accepted change is put into a bounded channel and answered with 202: it was taken, not done.
//! Whether and when it is done shows in `/status`; the conductor alone decides, since this thread
//! knows a snapshot that may already be old.
//!
//! No answer is ever cached, none may be read by another site (no CORS headers), and the page may
//! load nothing but its own style and script.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::access::{Refusal, Token};
use super::snapshot::{Failure, Snapshot};
use super::{LimitsPatch, Observer, Verdict, metrics};

/// The longest body that is read. A throttle patch has some 200 bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// The conductor's loop comes round each second; a machine that is short of time may take longer, but not this long. Waiting for
/// a database does not count: the loop goes round.
const SILENCE: Duration = Duration::from_secs(30);

const PAGE: &str = include_str!("status.html");
const STYLE: &str = include_str!("status.css");
const SCRIPT: &str = include_str!("status.js");

/// The page runs its own script and style, talks to its own origin, and cannot be framed.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A wish from outside. The conductor carries it out or refuses it; either shows in `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Pause,
    Resume,
    Throttle(LimitsPatch),
    Cutover,
}

/// What the routes need of the rest of the daemon.
pub struct Routes {
    pub observer: Observer,
    /// Judges a snapshot. Runs on the HTTP thread at each scrape: it looks and does not wait.
    pub verdict: Arc<dyn Fn(&Snapshot) -> Verdict + Send + Sync>,
    /// Without a token every change is refused.
    pub token: Token,
    /// Bounded; when it is full a change is answered with 503 and not queued.
    pub control: mpsc::Sender<Control>,
}

pub(super) type Answer = Response<Full<Bytes>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Metrics,
    Livez,
    Readyz,
    Status,
    Cutover,
    Page,
    Style,
    Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Pause,
    Resume,
    Throttle,
    Cutover,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Look(Look),
    Change(Change),
    NotFound,
    /// With the value of `Allow`.
    NotAllowed(&'static str),
}

/// Answers one request.
pub(super) async fn answer<B>(routes: &Routes, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match find(request.method(), request.uri().path()) {
        Route::Look(what) => look(routes, what),
        Route::Change(what) => change(routes, what, request).await.unwrap_or_else(Refused::into_answer),
        Route::NotFound => Refused::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing at this path",
            "the paths are / /status /cutover /metrics /livez /readyz /pause /resume /throttle",
        )
        .into_answer(),
        Route::NotAllowed(allow) => {
            let mut answer = Refused::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path does not know this method",
                "use a method that the header Allow names",
            )
            .into_answer();
            let headers = answer.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            answer
        }
    }
}

fn find(method: &Method, path: &str) -> Route {
    let (look, change) = match path {
        "/" => (Some(Look::Page), None),
        "/status.css" => (Some(Look::Style), None),
        "/status.js" => (Some(Look::Script), None),
        "/metrics" => (Some(Look::Metrics), None),
        "/livez" => (Some(Look::Livez), None),
        "/readyz" => (Some(Look::Readyz), None),
        "/status" => (Some(Look::Status), None),
        "/cutover" => (Some(Look::Cutover), Some(Change::Cutover)),
        "/pause" => (None, Some(Change::Pause)),
        "/resume" => (None, Some(Change::Resume)),
        "/throttle" => (None, Some(Change::Throttle)),
        _ => return Route::NotFound,
    };
    match (look, change) {
        (Some(what), _) if method == Method::GET || method == Method::HEAD => Route::Look(what),
        (_, Some(what)) if method == Method::POST => Route::Change(what),
        (Some(_), Some(_)) => Route::NotAllowed("GET, HEAD, POST"),
        (Some(_), None) => Route::NotAllowed("GET, HEAD"),
        (None, _) => Route::NotAllowed("POST"),
    }
}

fn look(routes: &Routes, what: Look) -> Answer {
    let snapshot = routes.observer.snapshot();
    match what {
        Look::Livez => match routes.observer.since_turn() {
            silence if silence < SILENCE => plain(StatusCode::OK, "ok\n".to_owned()),
            silence => plain(StatusCode::SERVICE_UNAVAILABLE, format!("the conductor has hung for {} s\n", silence.as_secs())),
        },
        Look::Readyz => match snapshot.readiness() {
            Ok(()) => plain(StatusCode::OK, "ok\n".to_owned()),
            Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
        },
        Look::Status => json(StatusCode::OK, &*snapshot),
        Look::Cutover => {
            let verdict = (routes.verdict)(&snapshot);
            let status = if verdict.is_go() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json(status, &verdict)
        }
        Look::Metrics => {
            routes.observer.note_scrape();
            let ready = (routes.verdict)(&snapshot).is_go();
            match routes.observer.metrics().render(&snapshot, ready) {
                Ok(text) => respond(StatusCode::OK, metrics::TEXT_FORMAT, text),
                Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        Look::Page => {
            let mut answer = respond(StatusCode::OK, "text/html; charset=utf-8", PAGE);
            let policy = HeaderValue::from_static(PAGE_POLICY);
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            answer
        }
        Look::Style => respond(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        Look::Script => respond(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
    }
}

async fn change<B>(routes: &Routes, what: Change, request: Request<B>) -> Result<Answer, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    permitted(routes, request.headers())?;
    let (control, name) = match what {
        Change::Pause => (Control::Pause, "pause"),
        Change::Resume => (Control::Resume, "resume"),
        Change::Cutover => (Control::Cutover, "cutover"),
        Change::Throttle => {
            let body = read(request.into_body()).await?;
            (Control::Throttle(patch(&body)?), "throttle")
        }
    };
    match routes.control.try_send(control) {
        Ok(()) => {
            let accepted = serde_json::json!({ "accepted": name });
            Ok(json(StatusCode::ACCEPTED, &accepted))
        }
        Err(TrySendError::Full(_)) => Err(Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "earlier requests are still being carried out",
            "look at /status and try again",
        )),
        Err(TrySendError::Closed(_)) => Err(Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the daemon is stopping",
            "wait for it to be started again",
        )),
    }
}

fn permitted(routes: &Routes, headers: &HeaderMap) -> Result<(), Refused> {
    routes.token.authorise(headers).map_err(|why| match why {
        Refusal::NotConfigured => Refused::new(
            StatusCode::FORBIDDEN,
            "no_token_configured",
            "requests that change anything are refused, because no token is configured",
            "set [http] token_file in the configuration and reload the daemon",
        ),
        Refusal::Wrong => Refused::new(
            StatusCode::FORBIDDEN,
            "wrong_token",
            "the bearer token is not the configured one",
            "send the content of [http] token_file",
        ),
        Refusal::Missing => Refused::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "this request changes something and carries no bearer token",
            "send the header `Authorization: Bearer TOKEN` with the content of [http] token_file",
        ),
    })
}

async fn read<B>(body: B) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_DEADLINE, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the body is longer than 64 KiB",
            "send only the limits that change",
        )),
        Ok(Err(error)) => Err(bad_request(error.to_string())),
        Err(_) => Err(Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body did not arrive within 5 seconds",
            "send it at once",
        )),
    }
}

fn patch(body: &[u8]) -> Result<LimitsPatch, Refused> {
    let patch: LimitsPatch = serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))?;
    if patch.is_empty() {
        return Err(bad_request("no limit is named"));
    }
    Ok(patch)
}

fn bad_request(message: impl Into<String>) -> Refused {
    Refused::new(
        StatusCode::BAD_REQUEST,
        "bad_request",
        message,
        r#"send JSON such as {"copy_rows_per_second": 20000}; 0 means no limit"#,
    )
}

/// Why a request gets nothing; told in the same three fields as `error` in `/status`.
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    remedy: &'static str,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>, remedy: &'static str) -> Refused {
        Refused { status, code, message: message.into(), remedy }
    }

    fn into_answer(self) -> Answer {
        let failure = Failure { code: self.code.to_owned(), message: self.message, remedy: self.remedy.to_owned() };
        let mut answer = json(self.status, &serde_json::json!({ "error": failure }));
        // RFC 9110, 15.5.2: a 401 names the scheme.
        if self.status == StatusCode::UNAUTHORIZED {
            let headers = answer.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => respond(status, "application/json", body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    const ALWAYS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_decided_by_the_table() {
        let found = |method: &str, path| find(&Method::from_bytes(method.as_bytes()).expect("a method"), path);
        assert_eq!(found("GET", "/cutover"), Route::Look(Look::Cutover));
        assert_eq!(found("HEAD", "/status"), Route::Look(Look::Status));
        assert_eq!(found("POST", "/cutover"), Route::Change(Change::Cutover));
        assert_eq!(found("DELETE", "/cutover"), Route::NotAllowed("GET, HEAD, POST"));
        assert_eq!(found("POST", "/status"), Route::NotAllowed("GET, HEAD"));
        assert_eq!(found("GET", "/pause"), Route::NotAllowed("POST"));
        assert_eq!(found("GET", "/status/"), Route::NotFound);
        assert_eq!(found("POST", "/nothing"), Route::NotFound);
    }
}
