//! Statements under which the target's foreign keys act: see [`crate::apply`].

use super::Ident;
use super::dml::{self, RowError, Shapes};
use super::statement::{Expect, Statement};
use crate::model::image::RowImage;
use crate::model::table::Table;

/// From here on keys act, and check.
pub fn begin() -> Statement {
    Statement::of_ours("SET foreign_key_checks=1", Expect::Any)
}

/// Back to what every session on the target runs under.
pub fn end() -> Statement {
    Statement::of_ours("SET foreign_key_checks=0", Expect::Any)
}

/// Changes the row with this key into another one. An upsert cannot say that: it finds its row by the new key. A column that stays
/// as it is may be named all the same: the server compares, and a key acts only on what differs. Neither does the count include what keys
/// have done to other rows.
pub fn update(shapes: &Shapes, table: &Table, key: &[u8], after: &RowImage) -> Result<Statement, RowError> {
    let mut text = format!("UPDATE {} SET ", shapes.name).into_bytes();
    let mut blanks = 0;
    let mut written = Ok(());
    let mut first = true;
    after.walk(&table.columns, |index, value| {
        let Some(column) = table.columns.get(index).filter(|column| !column.generated && written.is_ok()) else { return };
        if !first {
            text.push(b',');
        }
        first = false;
        Ident(&column.name).write(&mut text);
        text.push(b'=');
        blanks += usize::from(dml::is_blank(column, value));
        written = dml::write_cell(&mut text, column, value);
    })?;
    written?;
    let condition = dml::KeyCondition::new(table, table.key_columns().unwrap_or(&[]));
    for part in [b" WHERE ", condition.before.as_bytes(), key, condition.after.as_bytes()] {
        text.extend_from_slice(part);
    }
    Ok(Statement { blanks, ..Statement::new(shapes.table.clone(), text, Expect::Exactly(1)) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::image::{Layout, Wire};
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};

    #[test]
    fn a_row_is_found_by_its_old_key_and_gets_all_its_columns() {
        let integer = ColumnKind::Integer { unsigned: false };
        let mut table = table("t", vec![column("id", integer), column("twice", integer), column("e", ColumnKind::Enum)], &[0]);
        table.columns[1].generated = true;
        let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, Wire::Integer { bytes: 1 }, Wire::Enum { bytes: 1 }]));
        let after = RowImage::new(Arc::from([0, 7, 14, 0]), 0, 4, layout);
        let statement = update(&Shapes::new(&table, None), &table, b"3", &after).expect("a statement");
        assert_eq!(String::from_utf8_lossy(&statement.text), "UPDATE `shop`.`t` SET `id`=7,`e`=0 WHERE `id` IN (3)");
        assert_eq!((statement.expect, statement.blanks), (Expect::Exactly(1), 1));
    }
}
