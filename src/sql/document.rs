//! JSON documents as SQL, exact in every scalar's value and type.
//!
//! A document goes as text when every server reads the text back as the same document: [`text`](crate::model::json::text) says when. Else
//! it goes as an expression, in which each scalar is spelled so that it has its type: `7` is an INTEGER, `CAST(7 AS UNSIGNED)` an
//! UNSIGNED INTEGER, `1.5e0` a DOUBLE, read by the server's exact reader of literals instead of its JSON reader. Parts that text can
//! say stay text inside the expression.
//!
//! Values of SQL types (measured on 5.7.22, 8.0.15 and 9.7.4):
//! * DECIMAL, DATE, TIME, DATETIME by casts. A literal's DECIMAL holds as many digits as were written, a cast's whole groups of
//!   nine: what the document has decides.
//! * Bytes take the type of their expression: a literal is VARBINARY; joined with something longer it becomes MEDIUMBLOB or
//!   LONGBLOB, joined with a blob column BLOB.
//! * TIMESTAMP and BINARY only columns have. A recursive table expression takes the types of its columns from its first part alone,
//!   so that part names columns of our own, always empty table `kinds`, and the second one gives the values: one such expression a
//!   document, whatever it holds. Servers take about a thousand of them in a statement, in a time that grows with the square;
//!   [`CTES_PER_STATEMENT`] bounds it.
//! * What is left (BIT, TINYBLOB, a TIME of 32 hours and more, BINARY beyond [`LONGEST_BINARY`], 5.7's YEAR and VAR_STRING) has no expression that is the same
//!   value on all servers: [`Unwritable::JsonOpaque`], and the task stops.
//!
//! Expressions nest as the document does, at most 100 deep, which the servers' parsers take with room to spare.

use std::io::Write;

use super::literal::{self, Unwritable, write_quoted};
use crate::model::image::Wire;
use crate::model::json::scalar::{DATE, DATETIME, DECIMAL, TIME, TIMESTAMP};
use crate::model::json::text::is_exact_double;
use crate::model::json::{self, BadJson, Container, Node};
use crate::model::table::ColumnKind;
use crate::model::value::{Clock, Date, Value};

/// What such an expression begins with; no other text of ours has it.
pub const CTE: &[u8] = b"(WITH RECURSIVE r AS (SELECT 1 AS n";
/// Enough that a statement's own cost is small, few enough that the square is.
pub const CTES_PER_STATEMENT: usize = 50;
/// BINARY columns of `kinds` go to this length: what fits in a row of it beside the rest.
pub const LONGEST_BINARY: usize = 100;
/// Hours from which on 5.7 and 8.0.15 put another TIME into a document than they are given: 32 for 40.
const LONG_TIME: u16 = 32;
/// Columns of one table expression; servers allow 4096 in all.
const MOST_COLUMNS: usize = 1000;

/// Creates the table that lends its columns' types; it never holds a row.
pub fn create_kinds() -> String {
    let binaries: Vec<String> = (1..=LONGEST_BINARY).map(|length| format!("`b{length}` BINARY({length}) NULL")).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS `polarferry`.`kinds` (`moment` TIMESTAMP(6) NULL, `bytes` BLOB NULL, {}) ENGINE=InnoDB \
         COMMENT 'lends the types of its columns; always empty'",
        binaries.join(", ")
    )
}

/// Appends the literal of a document as stored.
pub fn write(out: &mut Vec<u8>, document: &[u8]) -> Result<(), Unwritable> {
    let node = json::parse(document)?;
    if says_all(node, 0)? {
        return write_text_literal(out, node);
    }
    let mut lent = Vec::new();
    let mut expression = Vec::with_capacity(document.len() * 2);
    match node {
        Node::Object(_) | Node::Array(_) => write_expression(&mut expression, node, &mut lent)?,
        scalar => {
            expression.extend_from_slice(b"CAST(");
            write_expression(&mut expression, scalar, &mut lent)?;
            expression.extend_from_slice(b" AS JSON)");
        }
    }
    if lent.is_empty() {
        out.extend_from_slice(&expression);
        return Ok(());
    }
    // The cast is for 8.0, which stores a bare subquery's document as its text.
    out.extend_from_slice(b"CAST(");
    out.extend_from_slice(CTE);
    for (at, (column, _)) in lent.iter().enumerate() {
        push(out, format_args!(",h.`{column}` AS c{at}"));
    }
    out.extend_from_slice(b" FROM (SELECT 1 AS n) s LEFT JOIN `polarferry`.`kinds` h ON FALSE UNION ALL SELECT 2");
    for (_, value) in &lent {
        out.push(b',');
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b" FROM r WHERE n=1) SELECT ");
    out.extend_from_slice(&expression);
    out.extend_from_slice(b" FROM r WHERE n=2) AS JSON)");
    Ok(())
}

/// How many table expressions the spelled values hold; a value that holds the same text is counted, too, which costs nothing.
pub fn count_ctes(values: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = values;
    while let Some(at) = rest.iter().position(|byte| *byte == b'(') {
        rest = rest.get(at..).unwrap_or(&[]);
        count += usize::from(rest.starts_with(CTE));
        rest = rest.get(1..).unwrap_or(&[]);
    }
    count
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

fn members<'a>(container: Container<'a>) -> impl Iterator<Item = Result<Node<'a>, BadJson>> {
    (0..container.len()).map(move |index| container.value(index))
}

/// Whether the document's text is the whole truth about it.
fn says_all(node: Node<'_>, depth: usize) -> Result<bool, BadJson> {
    if depth > json::MAX_DEPTH {
        return Err(BadJson);
    }
    Ok(match node {
        Node::Opaque(..) => false,
        // Text would be read as an UNSIGNED INTEGER from here on, and as an INTEGER up to here.
        Node::Int(number) => number <= i64::from(u32::MAX),
        Node::UInt(number) => number > u64::from(u32::MAX),
        Node::Double(number) => {
            let mut text = [0; 32];
            let mut rest = text.as_mut_slice();
            let written = write!(rest, "{number:e}").is_ok();
            let unused = rest.len();
            written && is_exact_double(text.get(..text.len() - unused).unwrap_or(&[]))
        }
        Node::Object(container) | Node::Array(container) => {
            for member in members(container) {
                if !says_all(member?, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        Node::Null | Node::True | Node::False | Node::Text(_) => true,
    })
}

fn write_text_literal(out: &mut Vec<u8>, node: Node<'_>) -> Result<(), Unwritable> {
    let mut text = Vec::with_capacity(64);
    write_text(&mut text, node)?;
    out.extend_from_slice(b"_utf8mb4");
    write_quoted(out, &text);
    Ok(())
}

/// JSON text; the depth was bounded by [`says_all`].
fn write_text(out: &mut Vec<u8>, node: Node<'_>) -> Result<(), Unwritable> {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::True => out.extend_from_slice(b"true"),
        Node::False => out.extend_from_slice(b"false"),
        Node::Int(number) => push(out, format_args!("{number}")),
        Node::UInt(number) => push(out, format_args!("{number}")),
        Node::Double(number) => literal::write(out, Value::Double(number))?,
        Node::Text(text) => write_string(out, text),
        Node::Opaque(sql_type, _) => return Err(Unwritable::JsonOpaque(sql_type)),
        Node::Array(array) => {
            out.push(b'[');
            for index in 0..array.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(out, array.value(index)?)?;
            }
            out.push(b']');
        }
        Node::Object(object) => {
            out.push(b'{');
            for index in 0..object.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, object.key(index)?);
                out.push(b':');
                write_text(out, object.value(index)?)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..=0x1f => push(out, format_args!("\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Values that need a column of `kinds`: the column, and the value's expression.
type Lent = Vec<(String, Vec<u8>)>;

/// An argument of JSON_ARRAY or JSON_OBJECT that becomes exactly this node.
fn write_expression(out: &mut Vec<u8>, node: Node<'_>, lent: &mut Lent) -> Result<(), Unwritable> {
    match node {
        Node::Null => out.extend_from_slice(b"NULL"),
        Node::True => out.extend_from_slice(b"TRUE"),
        Node::False => out.extend_from_slice(b"FALSE"),
        Node::Int(number) => push(out, format_args!("{number}")),
        Node::UInt(number) => push(out, format_args!("CAST({number} AS UNSIGNED)")),
        Node::Double(number) => literal::write(out, Value::Double(number))?,
        Node::Text(text) => {
            out.extend_from_slice(b"_utf8mb4");
            write_quoted(out, text);
        }
        Node::Opaque(sql_type, bytes) => write_opaque(out, sql_type, bytes, lent)?,
        Node::Object(_) | Node::Array(_) if says_all(node, 0)? => {
            out.extend_from_slice(b"CAST(");
            write_text_literal(out, node)?;
            out.extend_from_slice(b" AS JSON)");
        }
        Node::Object(object) => {
            out.extend_from_slice(b"JSON_OBJECT(");
            for index in 0..object.len() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(b"_utf8mb4");
                write_quoted(out, object.key(index)?);
                out.push(b',');
                write_expression(out, object.value(index)?, lent)?;
            }
            out.push(b')');
        }
        Node::Array(array) => {
            out.extend_from_slice(b"JSON_ARRAY(");
            for index in 0..array.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_expression(out, array.value(index)?, lent)?;
            }
            out.push(b')');
        }
    }
    Ok(())
}

fn write_opaque(out: &mut Vec<u8>, sql_type: u8, bytes: &[u8], lent: &mut Lent) -> Result<(), Unwritable> {
    let unknown = Unwritable::JsonOpaque(sql_type);
    let binary = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"_binary");
        write_quoted(out, bytes);
    };
    let mut lend = |out: &mut Vec<u8>, column: String, value: Vec<u8>| {
        push(out, format_args!("c{}", lent.len()));
        lent.push((column, value));
        if lent.len() > MOST_COLUMNS { Err(unknown) } else { Ok(()) }
    };
    match sql_type {
        DECIMAL => write_decimal(out, bytes)?,
        DATE | TIME | DATETIME => write_moment(out, sql_type, bytes)?,
        TIMESTAMP => {
            let mut value = Vec::new();
            write_moment(&mut value, sql_type, bytes)?;
            lend(out, "moment".to_owned(), value)?;
        }
        // VARBINARY; a longer literal would be a MEDIUMBLOB.
        15 if bytes.len() <= usize::from(u16::MAX) => binary(out),
        // MEDIUMBLOB and LONGBLOB, as long as the other branch, which is never taken.
        250 | 251 => {
            out.extend_from_slice(b"IF(TRUE,");
            binary(out);
            push(out, format_args!(",REPEAT(_binary'\\0',{}))", if sql_type == 250 { 70_000 } else { 17_000_000 }));
        }
        252 => {
            out.extend_from_slice(b"IFNULL(");
            binary(out);
            out.extend_from_slice(b",(SELECT `bytes` FROM `polarferry`.`kinds` LIMIT 0))");
        }
        254 if (1..=LONGEST_BINARY).contains(&bytes.len()) => {
            let mut value = Vec::new();
            binary(&mut value);
            lend(out, format!("b{}", bytes.len()), value)?;
        }
        _ => return Err(unknown),
    }
    Ok(())
}

/// DECIMAL: precision, scale, then the digits as a row image has them.
fn write_decimal(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Unwritable> {
    let unknown = Unwritable::JsonOpaque(DECIMAL);
    let (precision, rest) = bytes.split_first().ok_or(unknown)?;
    let (scale, digits) = rest.split_first().ok_or(unknown)?;
    // Not a column's: the precision may count zeros in front, beyond what a column can have.
    let wire = Wire::Decimal { digits: *precision, scale: *scale };
    let Some(Value::Decimal(value)) = wire.value(digits, ColumnKind::Decimal) else { return Err(unknown) };
    let text = value.as_bytes();
    let written = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    if written == usize::from(*precision) && *scale > 0 {
        out.extend_from_slice(text);
    } else {
        out.extend_from_slice(b"CAST(");
        out.extend_from_slice(text);
        push(out, format_args!(" AS DECIMAL({},{scale}))", (*precision).min(65)));
    }
    Ok(())
}

/// DATE, TIME, DATETIME, TIMESTAMP: the server's packed 64-bit form, little-endian.
fn write_moment(out: &mut Vec<u8>, sql_type: u8, bytes: &[u8]) -> Result<(), Unwritable> {
    let packed = i64::from_le_bytes(bytes.try_into().map_err(|_| Unwritable::JsonOpaque(sql_type))?);
    let magnitude = packed.unsigned_abs();
    let (whole, micros) = (magnitude >> 24, (magnitude & 0xff_ffff) as u32);
    let clock = Clock {
        hours: (whole >> 12 & if sql_type == TIME { 0x3ff } else { 0x1f }) as u16,
        minutes: (whole >> 6 & 63) as u8,
        seconds: (whole & 63) as u8,
        micros,
    };
    if sql_type == TIME && clock.hours >= LONG_TIME {
        return Err(Unwritable::JsonOpaque(sql_type));
    }
    let (year_month, day) = (whole >> 22, (whole >> 17 & 31) as u8);
    let date = Date { year: (year_month / 13) as u16, month: (year_month % 13) as u8, day };
    let (value, spelling) = match sql_type {
        DATE => (Value::Date(date), "DATE"),
        TIME => (Value::Time { negative: packed < 0, clock, fraction: 6 }, "TIME(6)"),
        _ => (Value::DateTime { date, clock, fraction: 6 }, "DATETIME(6)"),
    };
    out.extend_from_slice(b"CAST(");
    literal::write(out, value)?;
    push(out, format_args!(" AS {spelling})"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::tree::Tree;

    fn literal(tree: &Tree) -> Result<String, Unwritable> {
        let mut out = Vec::new();
        write(&mut out, &tree.encode().expect("bytes"))?;
        Ok(String::from_utf8(out).expect("ASCII in these tests"))
    }

    fn object(key: &str, value: Tree) -> Tree {
        Tree::Object(vec![(key.as_bytes().to_vec(), value)])
    }

    #[test]
    fn a_document_is_text_where_text_is_exact() {
        let text = |tree: Tree| literal(&tree).expect("a literal");
        assert_eq!(text(object("a", Tree::Text(b"b\"c".to_vec()))), r#"_utf8mb4'{"a":"b\\"c"}'"#);
        assert_eq!(text(Tree::Array(vec![Tree::Double(1.5), Tree::Double(-0.0)])), "_utf8mb4'[1.5e0,-0e0]'");
        assert_eq!(
            text(Tree::Array(vec![Tree::Int(4_294_967_295), Tree::UInt(4_294_967_296)])),
            "_utf8mb4'[4294967295,4294967296]'"
        );
    }

    #[test]
    fn numbers_that_text_would_change_are_spelled_out() {
        let tree = Tree::Array(vec![
            Tree::Int(4_294_967_296),
            Tree::UInt(7),
            Tree::Double(0.1 + 0.2),
            Tree::Bool(true),
            Tree::Null,
            Tree::Text(b"it's".to_vec()),
            Tree::Array(vec![Tree::Int(1)]),
        ]);
        assert_eq!(
            literal(&tree).as_deref(),
            Ok(
                "JSON_ARRAY(4294967296,CAST(7 AS UNSIGNED),3.0000000000000004e-1,TRUE,NULL,_utf8mb4'it\\'s',CAST(_utf8mb4'[1]' AS JSON))"
            )
        );
        assert_eq!(literal(&Tree::UInt(7)).as_deref(), Ok("CAST(CAST(7 AS UNSIGNED) AS JSON)"));
    }

    #[test]
    fn decimals_keep_the_digits_that_they_are_stored_with() {
        // 1.50 as (3,2) and as (11,2).
        let short = Tree::Opaque(DECIMAL, vec![3, 2, 0x81, 0x32]);
        let long = Tree::Opaque(DECIMAL, vec![11, 2, 0x80, 0, 0, 1, 0x32]);
        assert_eq!(literal(&short).as_deref(), Ok("CAST(1.50 AS JSON)"));
        assert_eq!(literal(&object("a", long)).as_deref(), Ok("JSON_OBJECT(_utf8mb4'a',CAST(1.50 AS DECIMAL(11,2)))"));
    }

    #[test]
    fn types_that_only_columns_have_are_lent() {
        let spelled = literal(&Tree::Array(vec![Tree::Opaque(254, b"ab".to_vec()), Tree::Opaque(TIMESTAMP, vec![0; 8])]));
        let spelled = spelled.expect("a literal");
        assert_eq!(
            spelled,
            "CAST((WITH RECURSIVE r AS (SELECT 1 AS n,h.`b2` AS c0,h.`moment` AS c1 FROM (SELECT 1 AS n) s LEFT JOIN `polarferry`.`kinds` h \
             ON FALSE UNION ALL SELECT 2,_binary'ab',CAST('0000-00-00 00:00:00.000000' AS DATETIME(6)) FROM r WHERE n=1) SELECT \
             JSON_ARRAY(c0,c1) FROM r WHERE n=2) AS JSON)"
        );
        assert_eq!(count_ctes(format!("1,{spelled},({spelled})").as_bytes()), 2);
    }

    #[test]
    fn a_time_that_servers_mistake_stops() {
        let time = |hours: i64| literal(&Tree::Opaque(TIME, (-(hours << 36)).to_le_bytes().to_vec()));
        assert_eq!(time(31).as_deref(), Ok("CAST(CAST('-31:00:00.000000' AS TIME(6)) AS JSON)"));
        assert_eq!(time(32), Err(Unwritable::JsonOpaque(TIME)));
    }

    #[test]
    fn bytes_take_the_type_of_their_expression_or_stop() {
        let bytes = |kind, length: usize| literal(&Tree::Opaque(kind, vec![b'a'; length]));
        assert_eq!(bytes(15, 1).as_deref(), Ok("CAST(_binary'a' AS JSON)"));
        assert!(bytes(251, 1).is_ok_and(|text| text.contains("17000000")));
        for (kind, length) in [(16, 1), (249, 1), (253, 1), (13, 4), (254, LONGEST_BINARY + 1), (254, 0), (15, 70_000)] {
            assert_eq!(bytes(kind, length), Err(Unwritable::JsonOpaque(kind)), "type {kind}");
        }
    }
}
