//! How a target reads its input: a byte says how many columns there are, five bytes describe each (type and metadata as a TABLE_MAP
//! has them, a choice among the kinds of columns that fit, and flags), and the rest is the row's image.

use std::sync::Arc;

use polarferry::model::image::{Layout, Wire};
use polarferry::model::table::{Column, ColumnKind, Key, RowKey, Table, TableName};

/// Of BINARY(n), whose zero bytes the binlog leaves out and the catalog counts.
pub const LONGEST_BINARY: u32 = 255;

/// Every kind of column, with the fraction or length that `number` gives it.
fn kinds(number: u8) -> [ColumnKind; 19] {
    let fraction = number % 8;
    [
        ColumnKind::Integer { unsigned: false },
        ColumnKind::Integer { unsigned: true },
        ColumnKind::Float,
        ColumnKind::Double,
        ColumnKind::Decimal,
        ColumnKind::Bit,
        ColumnKind::Year,
        ColumnKind::Date,
        ColumnKind::Time { fraction },
        ColumnKind::DateTime { fraction },
        ColumnKind::Timestamp { fraction },
        ColumnKind::Text,
        ColumnKind::FixedBinary { length: u32::from(number).min(LONGEST_BINARY) },
        ColumnKind::Binary,
        ColumnKind::Enum,
        ColumnKind::Set,
        ColumnKind::Json,
        ColumnKind::Geometry,
        ColumnKind::Vector,
    ]
}

/// The first kind, from `choice` on, that this wire type carries.
fn fitting(name: &TableName, wire: Wire, choice: u8, fraction: u8) -> Option<ColumnKind> {
    let layout = Layout::new(vec![wire]);
    let kinds = kinds(fraction);
    let from = usize::from(choice) % kinds.len();
    kinds
        .iter()
        .cycle()
        .skip(from)
        .take(kinds.len())
        .copied()
        .find(|kind| layout.fits(&table(name.clone(), vec![column(0, *kind, 0)])).is_ok())
}

/// Without a key.
fn table(name: TableName, columns: Vec<Column>) -> Table {
    Table { name, columns, row_key: RowKey::None, secondary_uniques: Vec::new(), partial_uniques: Vec::new(), hidden: 0 }
}

fn column(at: usize, kind: ColumnKind, flags: u8) -> Column {
    Column {
        name: format!("c`{at}"),
        kind,
        nullable: true,
        generated: flags & 1 == 1,
        collation: String::new(),
        type_text: String::new(),
    }
}

/// A table, a layout that fits it, and what is left of the input; `None` when the input describes none.
pub fn read(input: &[u8]) -> Option<(Table, Arc<Layout>, &[u8])> {
    let (count, mut rest) = input.split_first()?;
    let name = TableName::new("s", "t");
    let (mut wires, mut columns) = (Vec::new(), Vec::new());
    for at in 0..usize::from(*count % 16) + 1 {
        let ([kind, first, second, choice, flags], after) = rest.split_first_chunk::<5>()?;
        rest = after;
        let wire = Wire::parse(*kind, &[*first, *second]).ok()?;
        // The fraction of a type that has one is its metadata.
        columns.push(column(at, fitting(&name, wire, *choice, *first)?, *flags));
        wires.push(wire);
    }
    let key: Vec<usize> = (0..columns.len().min(3)).collect();
    let secondary_uniques = vec![Key { name: "u".to_owned(), columns: vec![columns.len() - 1] }];
    let row_key = RowKey::Key(Key { name: "PRIMARY".to_owned(), columns: key });
    let layout = Arc::new(Layout::new(wires));
    let table = Table { row_key, secondary_uniques, ..table(name, columns) };
    layout.fits(&table).is_ok().then_some((table, layout, rest))
}
