//! A document that is owned and can be changed, and its way back to bytes.
//!
//! The stream needs it to carry out the source's diffs on a document, the copy to give each scalar of a document that arrived as text
//! the type that the source has for it. [`Tree::encode`] is the reader's inverse and makes the choices of the server's own writer
//! (`sql-common/json_binary.cc`): the narrowest integer that holds the value, small scalars in the table, two-byte offsets as long
//! as a container fits in 64 KiB, four-byte ones from then on. So equal documents give equal bytes.
//!
//! Children are encoded before their container, whose width depends on their size: each byte is copied once per level, and levels
//! are bounded.

use super::{BadJson, MAX_DEPTH, Node};

#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Vec<u8>),
    Opaque(u8, Vec<u8>),
    Array(Vec<Tree>),
    /// In the server's order of keys: by length, then by bytes.
    Object(Vec<(Vec<u8>, Tree)>),
}

/// One value, ready to be put into a container or to stand alone.
struct Encoded {
    kind: u8,
    bytes: Vec<u8>,
}

impl Tree {
    /// An owned copy.
    pub fn of(node: Node<'_>) -> Result<Self, BadJson> {
        Self::copy(node, 0)
    }

    fn copy(node: Node<'_>, depth: usize) -> Result<Self, BadJson> {
        if depth > MAX_DEPTH {
            return Err(BadJson);
        }
        Ok(match node {
            Node::Null => Self::Null,
            Node::True => Self::Bool(true),
            Node::False => Self::Bool(false),
            Node::Int(number) => Self::Int(number),
            Node::UInt(number) => Self::UInt(number),
            Node::Double(number) => Self::Double(number),
            Node::Text(text) => Self::Text(text.to_vec()),
            Node::Opaque(kind, bytes) => Self::Opaque(kind, bytes.to_vec()),
            Node::Array(array) => {
                Self::Array((0..array.len()).map(|at| Self::copy(array.value(at)?, depth + 1)).collect::<Result<_, _>>()?)
            }
            Node::Object(object) => Self::Object(
                (0..object.len())
                    .map(|at| Ok((object.key(at)?.to_vec(), Self::copy(object.value(at)?, depth + 1)?)))
                    .collect::<Result<_, BadJson>>()?,
            ),
        })
    }

    /// The document as a JSON column stores it. Fails on what no column can hold: a key of 64 KiB, a document of 4 GiB.
    pub fn encode(&self) -> Result<Vec<u8>, BadJson> {
        let encoded = self.encoded(0)?;
        let mut out = Vec::with_capacity(encoded.bytes.len() + 1);
        out.push(encoded.kind);
        out.extend_from_slice(&encoded.bytes);
        Ok(out)
    }

    fn encoded(&self, depth: usize) -> Result<Encoded, BadJson> {
        if depth > MAX_DEPTH {
            return Err(BadJson);
        }
        let scalar = |kind, bytes: &[u8]| Encoded { kind, bytes: bytes.to_vec() };
        Ok(match self {
            Self::Null => scalar(0x04, &[0]),
            Self::Bool(true) => scalar(0x04, &[1]),
            Self::Bool(false) => scalar(0x04, &[2]),
            Self::Int(number) => match (i16::try_from(*number), i32::try_from(*number)) {
                (Ok(short), _) => scalar(0x05, &short.to_le_bytes()),
                (_, Ok(middle)) => scalar(0x07, &middle.to_le_bytes()),
                _ => scalar(0x09, &number.to_le_bytes()),
            },
            Self::UInt(number) => match (u16::try_from(*number), u32::try_from(*number)) {
                (Ok(short), _) => scalar(0x06, &short.to_le_bytes()),
                (_, Ok(middle)) => scalar(0x08, &middle.to_le_bytes()),
                _ => scalar(0x0a, &number.to_le_bytes()),
            },
            Self::Double(number) => scalar(0x0b, &number.to_le_bytes()),
            Self::Text(text) => Encoded { kind: 0x0c, bytes: prefixed(Vec::new(), text)? },
            Self::Opaque(kind, bytes) => Encoded { kind: 0x0f, bytes: prefixed(vec![*kind], bytes)? },
            Self::Array(members) => {
                let members = members.iter().map(|member| member.encoded(depth + 1)).collect::<Result<Vec<_>, _>>()?;
                container(None, &members)?
            }
            Self::Object(members) => {
                let keys: Vec<&[u8]> = members.iter().map(|(key, _)| key.as_slice()).collect();
                let members = members.iter().map(|(_, member)| member.encoded(depth + 1)).collect::<Result<Vec<_>, _>>()?;
                container(Some(&keys), &members)?
            }
        })
    }
}

/// Bytes behind their length, which takes seven bits a byte.
fn prefixed(mut out: Vec<u8>, bytes: &[u8]) -> Result<Vec<u8>, BadJson> {
    let mut length = u32::try_from(bytes.len()).map_err(|_| BadJson)?;
    out.reserve(bytes.len() + 5);
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(bytes);
    Ok(out)
}

fn container(keys: Option<&[&[u8]]>, members: &[Encoded]) -> Result<Encoded, BadJson> {
    let small = laid_out(keys, members, false)?;
    let large = small.is_none();
    let bytes = match small {
        Some(bytes) => bytes,
        None => laid_out(keys, members, true)?.ok_or(BadJson)?,
    };
    let kind = if keys.is_some() { 0x00 } else { 0x02 } + u8::from(large);
    Ok(Encoded { kind, bytes })
}

/// The container with offsets of one width; `None` when they do not suffice.
fn laid_out(keys: Option<&[&[u8]]>, members: &[Encoded], large: bool) -> Result<Option<Vec<u8>>, BadJson> {
    let wide = if large { 4 } else { 2 };
    let limit = if large { u32::MAX as usize } else { usize::from(u16::MAX) };
    let inlined = |member: &Encoded| matches!(member.kind, 0x04..=0x06) || large && matches!(member.kind, 0x07 | 0x08);
    let head = 2 * wide + keys.map_or(0, |keys| keys.len() * (wide + 2)) + members.len() * (wide + 1);
    let names: usize = keys.unwrap_or(&[]).iter().map(|key| key.len()).sum();
    let bodies: usize = members.iter().filter(|member| !inlined(member)).map(|member| member.bytes.len()).sum();
    let size = head + names + bodies;
    if size > limit || members.len() > limit {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(size);
    let put = |out: &mut Vec<u8>, number: usize| out.extend(number.to_le_bytes().iter().take(wide));
    put(&mut out, members.len());
    put(&mut out, size);
    let mut at = head;
    for key in keys.unwrap_or(&[]) {
        put(&mut out, at);
        out.extend_from_slice(&u16::try_from(key.len()).map_err(|_| BadJson)?.to_le_bytes());
        at += key.len();
    }
    for member in members {
        out.push(member.kind);
        if inlined(member) {
            out.extend(member.bytes.iter().chain([0; 4].iter()).take(wide));
        } else {
            put(&mut out, at);
            at += member.bytes.len();
        }
    }
    for key in keys.unwrap_or(&[]) {
        out.extend_from_slice(key);
    }
    for member in members.iter().filter(|member| !inlined(member)) {
        out.extend_from_slice(&member.bytes);
    }
    Ok(Some(out))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    /// Any document, its keys in the server's order.
    pub(crate) fn documents() -> impl Strategy<Value = Tree> {
        let scalar = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::Bool),
            any::<i64>().prop_map(Tree::Int),
            (-70_000_i64..70_000).prop_map(Tree::Int),
            any::<u64>().prop_map(Tree::UInt),
            (0_u64..70_000).prop_map(Tree::UInt),
            any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()).prop_map(Tree::Double),
            "\\PC{0,12}".prop_map(|text| Tree::Text(text.into_bytes())),
            "[a-z]{30000}".prop_map(|text| Tree::Text(text.into_bytes())),
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, bytes)| Tree::Opaque(kind, bytes)),
        ];
        scalar.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
                proptest::collection::btree_map("\\PC{0,5}", inner, 0..6).prop_map(|members| {
                    let mut members: Vec<_> = members.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
                    members.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                    Tree::Object(members)
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tree in documents()) {
            let bytes = tree.encode().expect("bytes");
            let read = parse(&bytes).and_then(Tree::of);
            prop_assert_eq!(read.as_ref(), Ok(&tree));
        }
    }

    #[test]
    fn bytes_are_those_of_the_server() {
        // {"a": "bc"} and [1, null], as in the reader's tests.
        let object = Tree::Object(vec![(b"a".to_vec(), Tree::Text(b"bc".to_vec()))]);
        assert_eq!(object.encode().as_deref(), Ok(&[0x00, 1, 0, 15, 0, 11, 0, 1, 0, 0x0c, 12, 0, b'a', 2, b'b', b'c'][..]));
        let array = Tree::Array(vec![Tree::Int(1), Tree::Null]);
        assert_eq!(array.encode().as_deref(), Ok(&[0x02, 2, 0, 10, 0, 0x05, 1, 0, 0x04, 0, 0][..]));
    }

    #[test]
    fn what_outgrows_two_bytes_is_written_with_four() {
        let members: Vec<Tree> = (0..100_000).map(Tree::Int).collect();
        let bytes = Tree::Array(members.clone()).encode().expect("bytes");
        assert_eq!(bytes.first(), Some(&0x03));
        assert_eq!(parse(&bytes).and_then(Tree::of), Ok(Tree::Array(members)));
    }

    #[test]
    fn deeper_than_the_server_allows_is_refused() {
        let nested = |levels: usize| (0..levels).fold(Tree::Null, |inner, _| Tree::Array(vec![inner]));
        assert!(nested(MAX_DEPTH).encode().is_ok());
        assert_eq!(nested(MAX_DEPTH + 1).encode(), Err(BadJson));
    }
}
