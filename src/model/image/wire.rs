//! The wire type of a column: what a TABLE_MAP event says about it, and how long its cells are.

use super::ImageError;
use crate::model::table::ColumnKind;

/// How one column's bytes are laid out in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// 1, 2, 3, 4 or 8 bytes, little-endian.
    Integer {
        bytes: u8,
    },
    Float,
    Double,
    Decimal {
        digits: u8,
        scale: u8,
    },
    Bit {
        bytes: u8,
    },
    Year,
    Date,
    /// The formats of before 5.6, which tables keep until they are rebuilt.
    OldTime,
    OldDateTime,
    OldTimestamp,
    Time {
        fraction: u8,
    },
    DateTime {
        fraction: u8,
    },
    Timestamp {
        fraction: u8,
    },
    /// CHAR, VARCHAR, BINARY, VARBINARY: a length of one or two bytes, then the bytes.
    String {
        length_bytes: u8,
    },
    /// BLOB, TEXT, JSON, GEOMETRY, VECTOR: a length of 1 to 4 bytes, then the bytes.
    Blob {
        length_bytes: u8,
    },
    Json {
        length_bytes: u8,
    },
    Geometry {
        length_bytes: u8,
    },
    Vector {
        length_bytes: u8,
    },
    Enum {
        bytes: u8,
    },
    Set {
        bytes: u8,
    },
}

/// Bytes that a DECIMAL's `digits` leftover digits take.
pub(super) const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

pub(super) fn fraction_bytes(fraction: u8) -> usize {
    usize::from(fraction).div_ceil(2)
}

pub(super) fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Wire {
    /// Reads a TABLE_MAP column: the raw type byte and its metadata bytes.
    pub fn parse(type_byte: u8, metadata: &[u8]) -> Result<Self, ImageError> {
        let first = metadata.first().copied().unwrap_or(0);
        let second = metadata.get(1).copied().unwrap_or(0);
        let wire = match type_byte {
            1 => Self::Integer { bytes: 1 },
            2 => Self::Integer { bytes: 2 },
            9 => Self::Integer { bytes: 3 },
            3 => Self::Integer { bytes: 4 },
            8 => Self::Integer { bytes: 8 },
            4 => Self::Float,
            5 => Self::Double,
            246 => Self::Decimal { digits: first, scale: second },
            16 => Self::Bit { bytes: second.saturating_add(u8::from(first > 0)) },
            13 => Self::Year,
            10 | 14 => Self::Date,
            11 => Self::OldTime,
            12 => Self::OldDateTime,
            7 => Self::OldTimestamp,
            19 => Self::Time { fraction: first },
            18 => Self::DateTime { fraction: first },
            17 => Self::Timestamp { fraction: first },
            15 | 253 => Self::String { length_bytes: if little(metadata) > 255 { 2 } else { 1 } },
            254 => Self::parse_string(first, second)?,
            247 => Self::Enum { bytes: second },
            248 => Self::Set { bytes: second },
            249..=252 => Self::Blob { length_bytes: first },
            245 => Self::Json { length_bytes: first },
            255 => Self::Geometry { length_bytes: first },
            242 => Self::Vector { length_bytes: first },
            other => return Err(ImageError::UnknownType(other)),
        };
        if wire.is_possible() { Ok(wire) } else { Err(ImageError::Metadata(type_byte)) }
    }

    /// Whether a server has such a column: sizes beyond these would be read as something else.
    fn is_possible(self) -> bool {
        match self {
            Self::Integer { .. } | Self::Float | Self::Double | Self::Year | Self::Date => true,
            Self::OldTime | Self::OldDateTime | Self::OldTimestamp | Self::String { .. } => true,
            Self::Decimal { digits, scale } => (1..=65).contains(&digits) && scale <= 30 && scale <= digits,
            Self::Time { fraction } | Self::DateTime { fraction } | Self::Timestamp { fraction } => fraction <= 6,
            Self::Bit { bytes } | Self::Set { bytes } => (1..=8).contains(&bytes),
            Self::Enum { bytes } => (1..=2).contains(&bytes),
            Self::Blob { length_bytes }
            | Self::Json { length_bytes }
            | Self::Geometry { length_bytes }
            | Self::Vector { length_bytes } => (1..=4).contains(&length_bytes),
        }
    }

    /// MYSQL_TYPE_STRING carries its real type in the metadata, and two bits of the length folded into it.
    fn parse_string(first: u8, second: u8) -> Result<Self, ImageError> {
        let folded = (first & 0x30) ^ 0x30;
        let length = u16::from(second) | (u16::from(folded) << 4);
        match first | 0x30 {
            247 => Ok(Self::Enum { bytes: second }),
            248 => Ok(Self::Set { bytes: second }),
            254 => Ok(Self::String { length_bytes: if length > 255 { 2 } else { 1 } }),
            other => Err(ImageError::UnknownType(other)),
        }
    }

    pub(super) fn carries(self, kind: ColumnKind) -> bool {
        match self {
            Self::Integer { .. } => matches!(kind, ColumnKind::Integer { .. }),
            Self::Float => kind == ColumnKind::Float,
            Self::Double => kind == ColumnKind::Double,
            Self::Decimal { .. } => kind == ColumnKind::Decimal,
            Self::Bit { .. } => kind == ColumnKind::Bit,
            Self::Year => kind == ColumnKind::Year,
            Self::Date => kind == ColumnKind::Date,
            Self::OldTime => kind == ColumnKind::Time { fraction: 0 },
            Self::OldDateTime => kind == ColumnKind::DateTime { fraction: 0 },
            Self::OldTimestamp => kind == ColumnKind::Timestamp { fraction: 0 },
            Self::Time { fraction } => kind == ColumnKind::Time { fraction },
            Self::DateTime { fraction } => kind == ColumnKind::DateTime { fraction },
            Self::Timestamp { fraction } => kind == ColumnKind::Timestamp { fraction },
            Self::String { .. } => matches!(kind, ColumnKind::Text | ColumnKind::Binary | ColumnKind::FixedBinary { .. }),
            Self::Blob { .. } => matches!(kind, ColumnKind::Text | ColumnKind::Binary),
            Self::Json { .. } => kind == ColumnKind::Json,
            Self::Geometry { .. } => kind == ColumnKind::Geometry,
            Self::Vector { .. } => kind == ColumnKind::Vector,
            Self::Enum { .. } => kind == ColumnKind::Enum,
            Self::Set { .. } => kind == ColumnKind::Set,
        }
    }

    /// Bytes that the cell at the start of `rest` takes, its length prefix included.
    pub(super) fn size(self, rest: &[u8]) -> Option<usize> {
        Some(match self {
            Self::Integer { bytes } | Self::Bit { bytes } | Self::Enum { bytes } | Self::Set { bytes } => usize::from(bytes),
            Self::Float | Self::OldTimestamp => 4,
            Self::Double | Self::OldDateTime => 8,
            Self::Year => 1,
            Self::Date | Self::OldTime => 3,
            Self::Decimal { digits, scale } => {
                let whole = usize::from(digits.checked_sub(scale)?);
                let scale = usize::from(scale);
                whole / 9 * 4 + DIGIT_BYTES.get(whole % 9)? + scale / 9 * 4 + DIGIT_BYTES.get(scale % 9)?
            }
            Self::Time { fraction } => 3 + fraction_bytes(fraction),
            Self::DateTime { fraction } => 5 + fraction_bytes(fraction),
            Self::Timestamp { fraction } => 4 + fraction_bytes(fraction),
            Self::String { length_bytes }
            | Self::Blob { length_bytes }
            | Self::Json { length_bytes }
            | Self::Geometry { length_bytes }
            | Self::Vector { length_bytes } => {
                let prefix = usize::from(length_bytes);
                prefix.checked_add(usize::try_from(little(rest.get(..prefix)?)).ok()?)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_metadata_folds_long_lengths_and_real_types() {
        // CHAR(255) in utf8mb4 is 1020 bytes long: two bits of the length hide in the type byte.
        assert_eq!(Wire::parse(254, &[0xce, 0xfc]), Ok(Wire::String { length_bytes: 2 }));
        assert_eq!(Wire::parse(254, &[0xf7, 0x01]), Ok(Wire::Enum { bytes: 1 }));
        assert_eq!(Wire::parse(254, &[0xf8, 0x08]), Ok(Wire::Set { bytes: 8 }));
        assert_eq!(Wire::parse(99, &[]), Err(ImageError::UnknownType(99)));
    }

    #[test]
    fn sizes_that_no_column_has_are_refused() {
        for (kind, metadata) in [
            (16, [1, 255]),
            (16, [0, 9]),
            (246, [66, 2]),
            (246, [5, 6]),
            (18, [7, 0]),
            (254, [247, 3]),
            (248, [0, 9]),
            (252, [5, 0]),
            (245, [0, 0]),
        ] {
            assert_eq!(Wire::parse(kind, &metadata), Err(ImageError::Metadata(kind)), "{kind} {metadata:?}");
        }
        assert_eq!(Wire::parse(16, &[0, 8]), Ok(Wire::Bit { bytes: 8 }));
        assert_eq!(Wire::parse(246, &[65, 30]), Ok(Wire::Decimal { digits: 65, scale: 30 }));
    }
}
