//! Does a task live through a change of its passwords and of its source's certificate, in either order of their two steps, without
//! a restart and without a signal?

use std::fs;
use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509NameRef};

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::{Ferry, Relay, USER};
use crate::lab::Server;

/// A certificate and its key.
struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

fn name(text: &str) -> X509Name {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", text).expect("a name");
    name.build()
}

/// Signed by `by`, or by itself: then it is an authority.
fn identity(text: &str, number: u32, by: Option<&Identity>) -> Identity {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut builder = X509::builder().expect("a certificate");
    let subject = name(text);
    let issuer: &X509NameRef = by.map_or(&subject, |by| by.certificate.subject_name());
    let days = |days| Asn1Time::days_from_now(days).expect("a time");
    let number = BigNum::from_u32(number).and_then(|number| number.to_asn1_integer()).expect("a number");
    builder.set_version(2).expect("X.509 v3");
    builder.set_serial_number(&number).expect("a number");
    builder.set_subject_name(&subject).expect("a name");
    builder.set_issuer_name(issuer).expect("a name");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&days(0)).expect("a time");
    builder.set_not_after(&days(2)).expect("a time");
    let extension = match by {
        None => BasicConstraints::new().critical().ca().build().expect("an authority"),
        Some(by) => {
            let context = builder.x509v3_context(Some(&by.certificate), None);
            SubjectAlternativeName::new().ip("127.0.0.1").build(&context).expect("an address")
        }
    };
    builder.append_extension(extension).expect("an extension");
    builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).expect("a signature");
    Identity { certificate: builder.build(), key }
}

/// What `mysqld` reads.
fn install(directory: &Path, authority: &Identity, server: &Identity) {
    let write = |file: &str, bytes: Vec<u8>| fs::write(directory.join(file), bytes).expect("a file");
    write("ca.pem", authority.certificate.to_pem().expect("PEM"));
    write("cert.pem", server.certificate.to_pem().expect("PEM"));
    write("key.pem", server.key.private_key_to_pem_pkcs8().expect("PEM"));
}

/// What the daemon reads.
fn trust(bundle: &Path, authorities: &[&Identity]) {
    let pems = authorities.iter().flat_map(|authority| authority.certificate.to_pem().expect("PEM"));
    fs::write(bundle, pems.collect::<Vec<u8>>()).expect("a file");
}

async fn refused(ferry: &mut Ferry, code: &str) {
    ferry
        .wait_until(code, |status| status["retries"]["last"]["cause"].as_str().is_some_and(|cause| cause.starts_with(code)))
        .await;
}

async fn goes_on(ferry: &mut Ferry, pair: &Pair, id: u32) {
    pair.source.exec(format!("INSERT INTO shop.t VALUES ({id})")).await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(pair, "shop", &["t"]).await;
}

async fn change_password(server: &Server, password: &str) {
    server.exec(format!("ALTER USER '{USER}'@'%' IDENTIFIED BY '{password}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_certificates_are_rotated_without_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |file: &str| directory.path().join(file);
    let (old, new) = (identity("old authority", 1, None), identity("new authority", 2, None));
    install(directory.path(), &old, &identity("source", 3, Some(&old)));
    trust(&place("bundle.pem"), &[&old]);
    let ssl = ["ca", "cert", "key"].map(|part| format!("--ssl-{part}={}", place(&format!("{part}.pem")).display()));
    let route = Route::V97;
    let options = ssl.into_iter().fold(route.source_options(), |options, argument| options.arg(argument));
    let pair = Pair::start_with(route, options, false).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (0)").await;
    let (source, target) = tokio::join!(Relay::to(&pair.source), Relay::to(&pair.target));
    let mut task = pair.task(&["shop.*"]);
    (task.source.port, task.target.port) = (source.port(), target.port());
    task.source.tls = format!("{{ mode = \"verify-identity\", ca = {:?} }}", place("bundle.pem"));
    let mut ferry = Ferry::start(&task);
    let process = ferry.process_id();
    ferry.wait_streaming().await;
    goes_on(&mut ferry, &pair, 1).await;

    // A new password: first at the server.
    change_password(&pair.source, "second-at-source").await;
    goes_on(&mut ferry, &pair, 2).await;
    source.cut();
    refused(&mut ferry, "source-access").await;
    fs::write(ferry.path("source_password"), "second-at-source\n").expect("a file");
    goes_on(&mut ferry, &pair, 3).await;

    // First in the file; and for a moment there is none.
    fs::write(ferry.path("target_password"), "second-at-target\n").expect("a file");
    target.cut();
    refused(&mut ferry, "target-access").await;
    change_password(&pair.target, "second-at-target").await;
    goes_on(&mut ferry, &pair, 4).await;
    fs::remove_file(ferry.path("target_password")).expect("a file");
    target.cut();
    goes_on(&mut ferry, &pair, 5).await;

    // A certificate of the same authority; one of another; and its authority joins the bundle.
    install(directory.path(), &old, &identity("source", 4, Some(&old)));
    pair.source.exec("ALTER INSTANCE RELOAD TLS").await;
    source.cut();
    goes_on(&mut ferry, &pair, 6).await;
    install(directory.path(), &new, &identity("source", 5, Some(&new)));
    pair.source.exec("ALTER INSTANCE RELOAD TLS").await;
    source.cut();
    refused(&mut ferry, "source-access").await;
    trust(&place("bundle.pem"), &[&old, &new]);
    goes_on(&mut ferry, &pair, 7).await;

    assert_eq!(ferry.process_id(), process);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
    for secret in ["second-at-source", "second-at-target"] {
        assert!(!ferry.log().contains(secret), "a password is in the log");
    }
    // A start is not let in with what was never right: that is no rotation.
    fs::write(ferry.path("target_password"), "wrong").expect("a file");
    ferry.restart();
    assert_eq!(ferry.wait_end().await, 78);
    assert!(ferry.last_words().contains("target-login"), "{}", ferry.last_words());
}
