//! MySQL's binary JSON, read in place (`sql-common/json_binary.h` describes the format).
//!
//! A document is a tree of [`Node`]s over borrowed bytes. Offsets come from the bytes themselves, so every access is checked, and
//! the depth is bounded as the server bounds it: a damaged document is an error, never a panic or an endless walk. Nor does it grow:
//! in a document of a server no two values share a byte, so a tree with more values, or longer ones, than its bytes can hold is
//! damaged, too. Without that, a hundred bytes whose offsets point at themselves would be a tree of 2^100 values.
//!
//! * [`tree`]: a document that is owned, can be changed, and is written back.
//! * [`text`]: the server's JSON text, and what it leaves open.
//! * [`scalar`]: SQL values in it.
//! * [`diff`]: partial updates.

pub mod diff;
pub mod scalar;
pub mod text;
pub mod tree;

/// The server refuses documents deeper than this.
pub const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a JSON value is damaged or deeper than the server allows")]
pub struct BadJson;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node<'a> {
    Null,
    True,
    False,
    Int(i64),
    UInt(u64),
    Double(f64),
    /// utf8mb4 text, unquoted.
    Text(&'a [u8]),
    /// A value of an SQL type: the type's number (`enum_field_types`) and its bytes.
    Opaque(u8, &'a [u8]),
    Object(Container<'a>),
    Array(Container<'a>),
}

/// An object or an array: a count, a table of keys (objects only), a table of values, and what they point to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Container<'a> {
    bytes: &'a [u8],
    /// Offsets and sizes are 4 bytes wide instead of 2.
    large: bool,
    keyed: bool,
    count: usize,
}

/// Reads a document as stored in a JSON column; an empty one is the JSON null that old servers left in NOT NULL columns. What it
/// returns can be walked to its end, at most [`MAX_DEPTH`] deep and in a time that goes with the document's length.
pub fn parse(document: &[u8]) -> Result<Node<'_>, BadJson> {
    let Some((kind, rest)) = document.split_first() else { return Ok(Node::Null) };
    let node = Node::read(*kind, rest).ok_or(BadJson)?;
    spend(node, 0, &mut document.len())?;
    Ok(node)
}

/// Takes the bytes of a value and of all that it holds out of `budget`: at least one for each, so that empty ones cost, too.
fn spend(node: Node<'_>, depth: usize, budget: &mut usize) -> Result<(), BadJson> {
    let bytes = match node {
        Node::Text(bytes) | Node::Opaque(_, bytes) => bytes.len(),
        Node::Null | Node::True | Node::False | Node::Int(_) | Node::UInt(_) | Node::Double(_) => 0,
        Node::Object(_) | Node::Array(_) => 0,
    };
    take(budget, 1 + bytes)?;
    if let Node::Object(container) | Node::Array(container) = node {
        if depth >= MAX_DEPTH {
            return Err(BadJson);
        }
        for index in 0..container.len() {
            if container.keyed {
                take(budget, container.key(index)?.len())?;
            }
            spend(container.value(index)?, depth + 1, budget)?;
        }
    }
    Ok(())
}

fn take(budget: &mut usize, bytes: usize) -> Result<(), BadJson> {
    *budget = budget.checked_sub(bytes).ok_or(BadJson)?;
    Ok(())
}

/// Whether a server may hold these equal: it compares numbers by their value, whatever their types. Here every number may equal every
/// other, so a yes may be wrong and a no is right. Both come from [`parse`], which has bounded them.
pub fn may_be_equal(one: Node<'_>, other: Node<'_>) -> bool {
    let numeric = |node: Node<'_>| match node {
        Node::Int(_) | Node::UInt(_) | Node::Double(_) => true,
        // A DECIMAL is a number; other values of SQL types are compared by something else than their bytes, too.
        Node::Opaque(..) => true,
        Node::Null | Node::True | Node::False | Node::Text(_) | Node::Object(_) | Node::Array(_) => false,
    };
    match (one, other) {
        (Node::Object(one), Node::Object(other)) | (Node::Array(one), Node::Array(other)) => {
            one.len() == other.len()
                && (0..one.len()).all(|at| {
                    let same_key = !one.keyed || matches!((one.key(at), other.key(at)), (Ok(one), Ok(other)) if one == other);
                    same_key && matches!((one.value(at), other.value(at)), (Ok(one), Ok(other)) if may_be_equal(one, other))
                })
        }
        (Node::Text(one), Node::Text(other)) => one == other,
        (Node::Null, Node::Null) | (Node::True, Node::True) | (Node::False, Node::False) => true,
        (one, other) => numeric(one) && numeric(other),
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Seven bits a byte, low ones first; at most five bytes. Returns the number and the bytes it took.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

impl<'a> Node<'a> {
    fn read(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        Some(match kind {
            0x00 | 0x01 => Self::Object(Container::read(bytes, kind == 0x01, true)?),
            0x02 | 0x03 => Self::Array(Container::read(bytes, kind == 0x03, false)?),
            0x04 => match bytes.first()? {
                0 => Self::Null,
                1 => Self::True,
                2 => Self::False,
                _ => return None,
            },
            0x05 => Self::Int(i64::from(i16::from_le_bytes(bytes.get(..2)?.try_into().ok()?))),
            0x06 => Self::UInt(little(bytes.get(..2)?)),
            0x07 => Self::Int(i64::from(i32::from_le_bytes(bytes.get(..4)?.try_into().ok()?))),
            0x08 => Self::UInt(little(bytes.get(..4)?)),
            0x09 => Self::Int(i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?)),
            0x0a => Self::UInt(little(bytes.get(..8)?)),
            0x0b => Self::Double(f64::from_le_bytes(bytes.get(..8)?.try_into().ok()?)),
            0x0c => {
                let (length, start) = varint(bytes)?;
                Self::Text(bytes.get(start..start.checked_add(length)?)?)
            }
            0x0f => {
                let (sql_type, rest) = bytes.split_first()?;
                let (length, start) = varint(rest)?;
                Self::Opaque(*sql_type, rest.get(start..start.checked_add(length)?)?)
            }
            _ => return None,
        })
    }
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8], large: bool, keyed: bool) -> Option<Self> {
        let wide = if large { 4 } else { 2 };
        let count = usize::try_from(little(bytes.get(..wide)?)).ok()?;
        let size = usize::try_from(little(bytes.get(wide..2 * wide)?)).ok()?;
        let container = Self { bytes: bytes.get(..size)?, large, keyed, count };
        // The tables must lie inside: a count that promises more than there is would cost time for nothing.
        (container.value_entry(count) <= size).then_some(container)
    }

    fn wide(&self) -> usize {
        if self.large { 4 } else { 2 }
    }

    fn value_entry(&self, index: usize) -> usize {
        let keys = if self.keyed { self.count.saturating_mul(self.wide() + 2) } else { 0 };
        keys.saturating_add(2 * self.wide()).saturating_add(index.saturating_mul(self.wide() + 1))
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The key of an object's member.
    pub fn key(&self, index: usize) -> Result<&'a [u8], BadJson> {
        let entry = 2 * self.wide() + index * (self.wide() + 2);
        let read = || {
            let offset = usize::try_from(little(self.bytes.get(entry..entry + self.wide())?)).ok()?;
            let length = usize::try_from(little(self.bytes.get(entry + self.wide()..entry + self.wide() + 2)?)).ok()?;
            self.bytes.get(offset..offset.checked_add(length)?)
        };
        read().ok_or(BadJson)
    }

    pub fn value(&self, index: usize) -> Result<Node<'a>, BadJson> {
        let entry = self.value_entry(index);
        let read = || {
            let (kind, inline) = self.bytes.get(entry..entry + 1 + self.wide())?.split_first()?;
            // Small scalars sit in the table itself.
            let inlined = matches!(kind, 0x04..=0x06) || self.large && matches!(kind, 0x07 | 0x08);
            if inlined {
                return Node::read(*kind, inline);
            }
            let offset = usize::try_from(little(inline)).ok()?;
            Node::read(*kind, self.bytes.get(offset..)?)
        };
        read().ok_or(BadJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_small_numbers_is_read_from_its_table() {
        // [1, null]: small array, two elements, ten bytes.
        let document = [0x02, 2, 0, 10, 0, 0x05, 1, 0, 0x04, 0, 0];
        let Ok(Node::Array(array)) = parse(&document) else { panic!("not an array") };
        assert_eq!((array.len(), array.value(0), array.value(1)), (2, Ok(Node::Int(1)), Ok(Node::Null)));
        assert_eq!(array.value(2), Err(BadJson));
    }

    #[test]
    fn an_object_gives_keys_and_values() {
        // {"a": "bc"}
        let document = [0x00, 1, 0, 15, 0, 11, 0, 1, 0, 0x0c, 12, 0, b'a', 2, b'b', b'c'];
        let Ok(Node::Object(object)) = parse(&document) else { panic!("not an object") };
        assert_eq!(object.key(0), Ok(&b"a"[..]));
        assert_eq!(object.value(0), Ok(Node::Text(b"bc")));
    }

    #[test]
    fn only_numbers_may_be_equal_to_what_is_spelled_otherwise() {
        // [7], [7.0], ["7"], [true], {"a": 7}
        let (int, text) = ([0x02, 1, 0, 7, 0, 0x05, 7, 0], [0x02, 1, 0, 9, 0, 0x0c, 7, 0, 1, b'7']);
        let double = [&[0x02, 1, 0, 15, 0, 0x0b, 7, 0][..], &7.0_f64.to_le_bytes()].concat();
        let (truth, object) = ([0x02, 1, 0, 7, 0, 0x04, 1, 0], [0x00, 1, 0, 12, 0, 11, 0, 1, 0, 0x05, 7, 0, b'a']);
        let may = |one: &[u8], other: &[u8]| may_be_equal(parse(one).expect("a document"), parse(other).expect("a document"));
        assert!(may(&int, &double) && may(&double, &int) && may(&text, &text));
        for other in [&text[..], &truth, &object] {
            assert!(!may(&int, other) && !may(other, &int));
        }
    }

    #[test]
    fn damage_is_an_error() {
        assert_eq!(parse(&[0x02, 0xff, 0xff, 10, 0]), Err(BadJson));
        assert_eq!(parse(&[0x0c, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(BadJson));
        assert_eq!(parse(&[0x77]), Err(BadJson));
    }

    #[test]
    fn a_document_that_points_at_itself_is_damage_and_takes_no_time() {
        // An array of eight elements, each of them the array itself; then eight times the same text.
        let mut array = vec![0x02, 8, 0, 40, 0];
        array.extend([0x02, 0, 0].repeat(8));
        array.resize(41, 0);
        assert_eq!(parse(&array), Err(BadJson));
        let mut texts = vec![0x02, 8, 0, 40, 0];
        texts.extend([0x0c, 28, 0].repeat(8));
        texts.extend(b"\x0btwelve bytes");
        texts.truncate(41);
        assert_eq!(parse(&texts), Err(BadJson));
    }
}
