//! The server's JSON text, read with its open questions.
//!
//! A document as text does not say everything: `7` may be an INTEGER, an UNSIGNED INTEGER, a DECIMAL or, from 5.7, a DOUBLE; `"2024-02-29"`
//! may be a STRING or a DATE. Such scalars are *open leaves*. [`leaves`] lists them with their paths, so that the source can be
//! asked for their types; [`reads_as`] says whether a server that is handed the text would read the very same value; and [`tree`]
//! rebuilds a document for which that is not so.
//!
//! What a server makes of a number in JSON text was measured on 5.7.22, 8.0.15 and 9.7.4, and is the same on all three: negative numbers
//! and those up to 4294967295 are INTEGER, larger ones UNSIGNED INTEGER, all others DOUBLE. 5.7 and 8.0 read a DOUBLE of 16 or 17
//! digits, or one far from 1, up to some units in the last place off. With at most 15 digits and a power of ten of at most 22 the
//! value is the quotient or product of two exact doubles, which every reader gets right ([`is_exact_double`]). Printing is exact on all.

use super::scalar;
use super::tree::Tree;
use super::{BadJson, MAX_DEPTH};

/// A scalar whose type the text does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf<'t> {
    Number(&'t [u8]),
    /// A string that looks like a moment or like bytes, as it stands between its quotes.
    Text(&'t [u8]),
}

/// Calls `visit` with the path and the text of each open leaf, in order.
pub fn leaves<'t>(text: &'t [u8], visit: &mut dyn FnMut(&[u8], Leaf<'t>)) -> Result<(), BadJson> {
    let mut leaf = |path: &[u8], leaf| {
        visit(path, leaf);
        Ok(Tree::Null)
    };
    Scanner::run(text, false, &mut leaf).map(drop)
}

/// The document, each open leaf of the type that `type_of` names for its path.
pub fn tree<'n>(text: &[u8], type_of: &mut dyn FnMut(&[u8]) -> Option<&'n [u8]>) -> Result<Tree, BadJson> {
    let mut leaf = |path: &[u8], leaf: Leaf<'_>| {
        let (Leaf::Number(raw) | Leaf::Text(raw)) = leaf;
        let plain = unescape(raw)?;
        type_of(path).and_then(|name| scalar::encode(name, &plain)).ok_or(BadJson)
    };
    Scanner::run(text, true, &mut leaf)
}

/// Whether any server reads this leaf as exactly this value, of the type that JSON_TYPE names.
pub fn reads_as(leaf: Leaf<'_>, type_name: &[u8]) -> bool {
    match leaf {
        Leaf::Text(_) => type_name == b"STRING",
        Leaf::Number(raw) => natural(raw) == type_name && (type_name != b"DOUBLE" || is_exact_double(raw)),
    }
}

/// The type that a server gives to a number in JSON text.
fn natural(raw: &[u8]) -> &'static [u8] {
    let text = std::str::from_utf8(raw).unwrap_or("");
    if text.starts_with('-') {
        return if text.parse::<i64>().is_ok() { b"INTEGER" } else { b"DOUBLE" };
    }
    match text.parse::<u64>() {
        Ok(number) if u32::try_from(number).is_ok() => b"INTEGER",
        Ok(_) => b"UNSIGNED INTEGER",
        Err(_) => b"DOUBLE",
    }
}

/// Whether every server reads this number as the double that is nearest to it.
pub fn is_exact_double(raw: &[u8]) -> bool {
    let (mantissa, exponent) = match raw.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (raw.get(..at).unwrap_or(&[]), raw.get(at + 1..).unwrap_or(&[])),
        None => (raw, &b"0"[..]),
    };
    let fraction = mantissa.iter().rev().position(|byte| *byte == b'.').unwrap_or(0);
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|byte| **byte == b'0').count();
    let exponent = exponent.strip_prefix(b"+").unwrap_or(exponent);
    let exponent = std::str::from_utf8(exponent).ok().and_then(|text| text.parse::<i64>().ok());
    let fraction = i64::try_from(fraction).unwrap_or(i64::MAX);
    digits <= 15 && exponent.is_some_and(|exponent| exponent.saturating_sub(fraction).unsigned_abs() <= 22)
}

/// Whether a string may be something else than a string.
fn is_open(raw: &[u8]) -> bool {
    let like = |pattern: &[u8]| {
        raw.len() == pattern.len()
            && raw.iter().zip(pattern).all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    let clock = |raw: &[u8]| {
        let raw = raw.strip_prefix(b"-").unwrap_or(raw);
        raw.get(raw.len().saturating_sub(13)..).is_some_and(|tail| tail.starts_with(b":")) && raw.ends_with_digits()
    };
    raw.starts_with(b"base64:type")
        || like(b"0000-00-00")
        || like(b"0000-00-00 00:00:00.000000")
        || (raw.len() <= 17 && clock(raw))
}

trait EndsWithDigits {
    fn ends_with_digits(&self) -> bool;
}

impl EndsWithDigits for [u8] {
    /// Six digits behind a point, as a TIME has them.
    fn ends_with_digits(&self) -> bool {
        let tail = self.get(self.len().saturating_sub(7)..).unwrap_or(&[]);
        matches!(tail, [b'.', rest @ ..] if rest.len() == 6 && rest.iter().all(u8::is_ascii_digit))
    }
}

/// What becomes of an open leaf.
type OnLeaf<'f, 't> = &'f mut dyn FnMut(&[u8], Leaf<'t>) -> Result<Tree, BadJson>;

struct Scanner<'f, 't> {
    rest: &'t [u8],
    /// Where we are, as a JSON path.
    path: Vec<u8>,
    /// Whether a tree is wanted at all.
    build: bool,
    leaf: OnLeaf<'f, 't>,
}

impl<'f, 't> Scanner<'f, 't> {
    fn run(text: &'t [u8], build: bool, leaf: OnLeaf<'f, 't>) -> Result<Tree, BadJson> {
        let mut scanner = Self { rest: text, path: b"$".to_vec(), build, leaf };
        let tree = scanner.value(0)?;
        scanner.space();
        if scanner.rest.is_empty() { Ok(tree) } else { Err(BadJson) }
    }

    fn space(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, expected: u8) -> Result<(), BadJson> {
        self.space();
        match self.rest {
            [first, rest @ ..] if *first == expected => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(BadJson),
        }
    }

    fn word(&mut self, word: &[u8], value: Tree) -> Result<Tree, BadJson> {
        self.rest = self.rest.strip_prefix(word).ok_or(BadJson)?;
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Tree, BadJson> {
        if depth > MAX_DEPTH {
            return Err(BadJson);
        }
        self.space();
        match self.rest.first().ok_or(BadJson)? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let raw = self.string()?;
                if is_open(raw) {
                    return (self.leaf)(&self.path, Leaf::Text(raw));
                }
                Ok(if self.build { Tree::Text(unescape(raw)?) } else { Tree::Null })
            }
            b'n' => self.word(b"null", Tree::Null),
            b't' => self.word(b"true", Tree::Bool(true)),
            b'f' => self.word(b"false", Tree::Bool(false)),
            _ => {
                let end = self
                    .rest
                    .iter()
                    .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .unwrap_or(self.rest.len());
                let (raw, rest) = self.rest.split_at_checked(end).filter(|(raw, _)| !raw.is_empty()).ok_or(BadJson)?;
                self.rest = rest;
                (self.leaf)(&self.path, Leaf::Number(raw))
            }
        }
    }

    /// The characters between the quotes, still escaped.
    fn string(&mut self) -> Result<&'t [u8], BadJson> {
        self.take(b'"')?;
        let text = self.rest;
        let mut at = 0;
        loop {
            at += text.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))).ok_or(BadJson)?;
            match text.get(at) {
                Some(b'\\') => at += 2,
                _ => break,
            }
        }
        self.rest = text.get(at + 1..).ok_or(BadJson)?;
        text.get(..at).ok_or(BadJson)
    }

    /// Whether another member follows; `first` holds before the first one.
    fn more(&mut self, first: bool, end: u8) -> Result<bool, BadJson> {
        self.space();
        if self.rest.first() == Some(&end) {
            self.take(end)?;
            return Ok(false);
        }
        if !first {
            self.take(b',')?;
        }
        Ok(true)
    }

    fn array(&mut self, depth: usize) -> Result<Tree, BadJson> {
        use std::io::Write;
        self.take(b'[')?;
        let here = self.path.len();
        let mut members = Vec::new();
        let mut count = 0_usize;
        while self.more(count == 0, b']')? {
            // Writing to a Vec cannot fail.
            let _ = write!(self.path, "[{count}]");
            let member = self.value(depth + 1)?;
            self.path.truncate(here);
            if self.build {
                members.push(member);
            }
            count += 1;
        }
        Ok(Tree::Array(members))
    }

    fn object(&mut self, depth: usize) -> Result<Tree, BadJson> {
        self.take(b'{')?;
        let here = self.path.len();
        let mut members = Vec::new();
        let mut first = true;
        while self.more(first, b'}')? {
            first = false;
            let key = self.string()?;
            self.take(b':')?;
            self.path.extend_from_slice(b".\"");
            self.path.extend_from_slice(key);
            self.path.push(b'"');
            let member = self.value(depth + 1)?;
            self.path.truncate(here);
            if self.build {
                members.push((unescape(key)?, member));
            }
        }
        Ok(Tree::Object(members))
    }
}

/// The characters that a JSON string stands for.
pub(super) fn unescape(raw: &[u8]) -> Result<Vec<u8>, BadJson> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at_checked(at).ok_or(BadJson)?;
        out.extend_from_slice(plain);
        let letter = escape.get(1).ok_or(BadJson)?;
        let mut taken = 2;
        match letter {
            b'"' | b'\\' | b'/' => out.push(*letter),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let unit = |at: usize| {
                    let digits = escape.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok())?;
                    u32::from_str_radix(digits, 16).ok()
                };
                let mut code = unit(2).ok_or(BadJson)?;
                taken = 6;
                if (0xd800..0xdc00).contains(&code) {
                    let low = unit(8).filter(|low| escape.get(6..8) == Some(b"\\u") && (0xdc00..0xe000).contains(low));
                    code = 0x10000 + ((code - 0xd800) << 10) + (low.ok_or(BadJson)? - 0xdc00);
                    taken = 12;
                }
                let character = char::from_u32(code).ok_or(BadJson)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(BadJson),
        }
        rest = escape.get(taken..).ok_or(BadJson)?;
    }
    out.extend_from_slice(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        leaves(text.as_bytes(), &mut |path, leaf| {
            let (Leaf::Number(raw) | Leaf::Text(raw)) = leaf;
            found.push((String::from_utf8_lossy(path).into_owned(), String::from_utf8_lossy(raw).into_owned()));
        })
        .expect("JSON");
        found
    }

    #[test]
    fn open_leaves_are_numbers_and_what_looks_like_an_sql_value() {
        let text = r#"{"": 1, "a": ["x", -2.5e3, "2024-02-29", {"b \"": "12:34:56.000000"}], "c": null, "d": "2024-02-29 01:02:03.000004",
            "e": "-838:59:59.000001", "f": "base64:type15:YQ==", "g": true, "h": "24-02-29", "i": "1:2"}"#;
        let found = listed(text);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, [r#"$."""#, r#"$."a"[1]"#, r#"$."a"[2]"#, r#"$."a"[3]."b \"""#, r#"$."d""#, r#"$."e""#, r#"$."f""#]);
        assert_eq!(listed("7"), [("$".to_owned(), "7".to_owned())]);
    }

    #[test]
    fn numbers_read_as_every_server_reads_them() {
        let reads = |text: &str, name: &str| reads_as(Leaf::Number(text.as_bytes()), name.as_bytes());
        for (text, name) in [
            ("7", "INTEGER"),
            ("-9223372036854775808", "INTEGER"),
            ("4294967295", "INTEGER"),
            ("4294967296", "UNSIGNED INTEGER"),
            ("18446744073709551615", "UNSIGNED INTEGER"),
            ("1.5", "DOUBLE"),
            ("-0.0", "DOUBLE"),
            ("1e22", "DOUBLE"),
        ] {
            assert!(reads(text, name), "{text} is {name}");
            assert!(!reads(text, "DECIMAL"), "{text}");
        }
        for text in ["4294967296", "0.30000000000000004", "1e23", "5e-324", "1.5e-23", "18446744073709551616", "1"] {
            assert!(!reads(text, if text.starts_with('4') { "INTEGER" } else { "DOUBLE" }), "{text}");
        }
    }

    #[test]
    fn a_tree_takes_the_types_that_it_is_told() {
        let text = br#"{"a": 1.50, "b": [7, "2024-02-29"], "c": "\u00e9\ud83d\ude00\n"}"#;
        let mut names = [&b"DECIMAL"[..], b"UNSIGNED INTEGER", b"STRING"].into_iter();
        let built = tree(text, &mut |_| names.next()).expect("a tree");
        let Tree::Object(members) = built else { panic!("no object") };
        assert!(matches!(&members[0].1, Tree::Opaque(246, _)));
        assert_eq!(members[1].1, Tree::Array(vec![Tree::UInt(7), Tree::Text(b"2024-02-29".to_vec())]));
        assert_eq!(members[2].1, Tree::Text("é😀\n".as_bytes().to_vec()));
        assert_eq!(tree(text, &mut |_| None), Err(BadJson));
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in ["", "{", "[1,", "[1 2]", "{\"a\"}", "\"a", "\"\\", "nul", "[1]x", "{,}", &"[".repeat(5000)] {
            assert_eq!(leaves(text.as_bytes(), &mut |_, _| {}), Err(BadJson), "{text:.20}");
        }
        assert_eq!(unescape(b"\\ud800"), Err(BadJson));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:0-9a-u\\\\ .-]{0,40}") {
            let _ = leaves(&bytes, &mut |_, _| {});
            let _ = tree(text.as_bytes(), &mut |_| Some(&b"INTEGER"[..]));
            let _ = is_exact_double(&bytes);
        }

        #[test]
        fn strings_and_keys_survive(key in "\\PC{0,8}", value in "[\\x00-\\x7fé😀]{0,16}") {
            let json = |text: &str| serde_json::to_string(text).expect("a string");
            let text = format!("{{{}: [{}]}}", json(&key), json(&value));
            let built = tree(text.as_bytes(), &mut |_| Some(&b"STRING"[..]));
            let expected = Tree::Object(vec![(key.into_bytes(), Tree::Array(vec![Tree::Text(value.into_bytes())]))]);
            prop_assert_eq!(built, Ok(expected));
        }
    }
}
