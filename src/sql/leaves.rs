//! Asking for the types of scalars inside documents.
//!
//! One expression a column: JSON_TYPE of each path, joined by commas, empty where a document has no such path. A path is what
//! [`crate::model::json::text`] makes of the server's own text: every key quoted, as the document has it. 5.7 takes no empty key in a
//! path; there `.*`, the list of all members, stands for it, for the server keeps members in the order of their keys' lengths, and
//! the empty one is the first.

use super::Ident;
use super::literal::write_quoted;

/// An empty key; quotes inside a key are escaped, so nothing else looks like it.
const EMPTY_KEY: &[u8] = b".\"\"";

/// The types of a column's leaves at these paths.
pub fn types(column: &str, paths: &[Vec<u8>]) -> Vec<u8> {
    // No leaf was seen yet: the function wants one at least.
    if paths.is_empty() {
        return b"''".to_vec();
    }
    let mut out = b"CONCAT_WS(','".to_vec();
    for path in paths {
        out.extend_from_slice(b",IFNULL(JSON_TYPE(");
        extract(&mut out, column, path);
        out.extend_from_slice(b"),'')");
    }
    out.push(b')');
    out
}

/// What [`types`] will take for one path, about.
pub fn size(column: &str, path: &[u8]) -> usize {
    path.len() + column.len() + 64
}

fn extract(out: &mut Vec<u8>, column: &str, path: &[u8]) {
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.windows(EMPTY_KEY.len()).position(|window| window == EMPTY_KEY) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.get(EMPTY_KEY.len()..).unwrap_or(&[]);
    }
    // From the outermost call, which takes what follows the last empty key, to the innermost.
    out.extend(b"JSON_EXTRACT(".repeat(1 + 2 * parts.len()));
    Ident(column).write(out);
    for (at, part) in parts.iter().enumerate() {
        step(out, at == 0, part, b".*");
        // The first of the members; what follows it is the next step's.
        out.extend_from_slice(b",_utf8mb4'$[0]')");
    }
    step(out, parts.is_empty(), rest, b"");
}

fn step(out: &mut Vec<u8>, first: bool, part: &[u8], suffix: &[u8]) {
    let mut path = if first { Vec::new() } else { b"$".to_vec() };
    path.extend_from_slice(part);
    path.extend_from_slice(suffix);
    out.extend_from_slice(b",_utf8mb4");
    write_quoted(out, &path);
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf8(types("d", &[path.as_bytes().to_vec()])).expect("ASCII")
    }

    #[test]
    fn paths_stay_in_their_quotes() {
        assert_eq!(
            text(r#"$."it's \"x"[3]"#),
            r#"CONCAT_WS(',',IFNULL(JSON_TYPE(JSON_EXTRACT(`d`,_utf8mb4'$."it\'s \\"x"[3]')),''))"#
        );
    }

    #[test]
    fn no_leaves_are_an_empty_answer() {
        assert_eq!(types("d", &[]), b"''");
    }

    #[test]
    fn an_empty_key_is_the_first_of_all_members() {
        assert_eq!(
            text(r#"$."a".""[1]"#),
            "CONCAT_WS(',',IFNULL(JSON_TYPE(JSON_EXTRACT(JSON_EXTRACT(JSON_EXTRACT(`d`,_utf8mb4'$.\"a\".*'),_utf8mb4'$[0]'),_utf8mb4'$[1]')),''))"
        );
        assert!(
            text(r#"$.""."""#)
                .contains("JSON_EXTRACT(`d`,_utf8mb4'$.*'),_utf8mb4'$[0]'),_utf8mb4'$.*'),_utf8mb4'$[0]'),_utf8mb4'$')")
        );
    }
}
