//! Long literals taken out of a statement, so that they can be sent beside it; pure.
//!
//! A value of which every byte is escaped is twice as long in a statement as it is stored, and a statement must fit into one packet
//! of the server. So where the text is too long, its long literals become user variables: each is set by a statement of its own,
//! whose parameter carries the plain bytes. Under `SET NAMES binary` a parameter is a binary string as a literal is, and becomes a
//! column's value in the same way.
//!
//! What is compared with an index stays a literal: a user variable has a collation of its own, which would weigh as much as the
//! column's. Keys are no longer than [`SHORT`].

/// Literals up to this length stay. MySQL's longest key, 3072 bytes, is shorter with every byte escaped.
pub const SHORT: usize = 8 * 1024;

/// A statement without its long literals: the first of `values` is `@polarferry_0`, and so on.
#[derive(Debug, PartialEq, Eq)]
pub struct Lifted {
    pub text: Vec<u8>,
    pub values: Vec<Vec<u8>>,
}

/// The user variable of the value with this index.
pub fn variable(index: usize) -> String {
    format!("@polarferry_{index}")
}

/// Takes the literals out of `text` that are longer than `short`.
pub fn lift(text: &[u8], short: usize) -> Lifted {
    let mut lifted = Lifted { text: Vec::new(), values: Vec::new() };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\'' | b'`')) {
        let (plain, quoted) = rest.split_at(at);
        lifted.text.extend_from_slice(plain);
        let name = quoted.first() == Some(&b'`');
        let length = if name { name_length(quoted) } else { literal_length(quoted) };
        let (taken, after) = quoted.split_at(length);
        if name || taken.len() <= short {
            lifted.text.extend_from_slice(taken);
        } else {
            lifted.take(taken);
        }
        rest = after;
    }
    lifted.text.extend_from_slice(rest);
    lifted
}

impl Lifted {
    fn take(&mut self, literal: &[u8]) {
        let variable = variable(self.values.len());
        // A variable takes no introducer.
        if let Some(before) = self.text.strip_suffix(INTRODUCER) {
            self.text.truncate(before.len());
            self.text.extend_from_slice(format!("CONVERT({variable} USING utf8mb4)").as_bytes());
        } else {
            self.text.extend_from_slice(variable.as_bytes());
        }
        self.values.push(plain(literal));
    }
}

/// What [`super::literal`] writes before JSON text.
const INTRODUCER: &[u8] = b"_utf8mb4";

/// A name ends at the next backquote; a doubled one begins another run of the same name.
fn name_length(text: &[u8]) -> usize {
    text.iter().skip(1).position(|byte| *byte == b'`').map_or(text.len(), |at| at + 2)
}

fn literal_length(text: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match text.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'\'' | b'\\')).map(|ahead| at + ahead)) {
            Some(found) if text.get(found) == Some(&b'\\') => at = found + 2,
            Some(found) => return found + 1,
            None => return text.len(),
        }
    }
}

/// The bytes that a literal stands for: the reverse of how [`super::literal`] escapes.
fn plain(literal: &[u8]) -> Vec<u8> {
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or(&[]);
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escaped) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend(escaped.get(1).map(|byte| if *byte == b'0' { 0 } else { *byte }));
        rest = escaped.get(2..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::Value;
    use crate::sql::literal;

    fn lifted(text: &str, short: usize) -> (String, Vec<Vec<u8>>) {
        let lifted = lift(text.as_bytes(), short);
        (String::from_utf8(lifted.text).expect("text"), lifted.values)
    }

    #[test]
    fn only_long_literals_are_taken_out() {
        let text = "INSERT INTO `it's`.`a``'b` (`c`) VALUES (1,'long\\'er',NULL,'s'),(2,'\\\\\\0\\'\\'',-1e0,'')";
        let expected = "INSERT INTO `it's`.`a``'b` (`c`) VALUES (1,@polarferry_0,NULL,'s'),(2,@polarferry_1,-1e0,'')";
        assert_eq!(lifted(text, 5), (expected.to_owned(), vec![b"long'er".to_vec(), b"\\\0''".to_vec()]));
        assert_eq!(lifted(text, 100), (text.to_owned(), vec![]));
    }

    #[test]
    fn documents_keep_their_character_set() {
        let text = r#"VALUES (_utf8mb4'{"a":"b\\"c"}',CAST(_utf8mb4'[]' AS JSON))"#;
        let expected = "VALUES (CONVERT(@polarferry_0 USING utf8mb4),CAST(_utf8mb4'[]' AS JSON))";
        assert_eq!(lifted(text, 6), (expected.to_owned(), vec![br#"{"a":"b\"c"}"#.to_vec()]));
    }

    #[test]
    fn every_byte_comes_back_as_it_was() {
        let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).chain(*b"\\'\\0''\\\\").collect();
        let mut text = Vec::new();
        literal::write(&mut text, Value::Bytes(&bytes)).expect("a literal");
        assert_eq!(lift(&text, 10), Lifted { text: b"@polarferry_0".to_vec(), values: vec![bytes.clone()] });
        let mut padded = Vec::new();
        literal::write(&mut padded, Value::Padded(b"ab", 20)).expect("a literal");
        let expected = [&b"ab"[..], &[0; 18]].concat();
        assert_eq!(lift(&padded, 10).values, [expected]);
    }

    #[test]
    fn text_that_never_closes_ends() {
        for text in ["'abcdef", "`abcdef", "'abc\\", "'"] {
            lift(text.as_bytes(), 1);
        }
    }
}
