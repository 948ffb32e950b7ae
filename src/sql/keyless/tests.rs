use proptest::prelude::*;

use super::*;
use crate::model::image::{Layout, Wire};
use crate::model::table::tests::{column, table};

fn log() -> Table {
    let text = Column { type_text: "varchar(9)".into(), ..column("s", ColumnKind::Text) };
    table("t", vec![column("n", ColumnKind::Integer { unsigned: false }), text], &[])
}

fn row(n: u8, text: &str) -> RowImage {
    let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, Wire::String { length_bytes: 1 }]));
    let mut bytes = vec![0, n, text.len() as u8];
    bytes.extend_from_slice(text.as_bytes());
    let end = bytes.len();
    RowImage::new(bytes.into(), 0, end, layout)
}

fn copies(n: u8, count: u64) -> (Copies, RowImage) {
    let (table, row) = (log(), row(n, "x"));
    let digest = digest_of(&table, &row).expect("a digest");
    (Copies { digest, values: format!("{n},'x'").into_bytes().into(), blanks: 0, count }, row)
}

fn removal(rows: &[(Copies, RowImage)]) -> Removal {
    let rows: Vec<(Copies, &RowImage)> = rows.iter().map(|(copies, row)| (copies.clone(), row)).collect();
    Removal::new(&Arc::new(Shapes::new(&log(), None)), &log(), &rows, 1000).expect("a removal")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("ASCII")
}

#[test]
fn rows_without_a_key_are_found_by_every_byte() {
    let digest = digest_of(&log(), &row(7, "x")).expect("a digest");
    // printf '7,1:x' | sha256sum
    assert_eq!(digest, "f95012a71b49d03616ae670e8ddfec130d9ce9b9c86d73849a9ec3ac7b01b7b6");
    let expression = "SHA2(CONCAT(IFNULL(CONCAT(`n`+0),'~'),',',IFNULL(CONCAT(LENGTH(`s`),':',CAST(`s` AS BINARY)),'~')),256)";
    let removal = removal(&[copies(7, 1), copies(8, 2)]);
    let condition = format!("`n` IN (7,8) AND {expression} IN ('{digest}','{}')", copies(8, 2).0.digest);
    assert_eq!(text(&removal.count()), format!("SELECT {expression},COUNT(*) FROM `shop`.`t` WHERE {condition} GROUP BY 1"));
    let standing = HashMap::from([(digest.into_bytes(), 3), (copies(8, 2).0.digest.into_bytes(), 2)]);
    let statements = removal.statements(&standing).expect("enough stand");
    assert_eq!(text(&statements[0].text), format!("DELETE FROM `shop`.`t` WHERE {condition}"));
    assert_eq!(statements[0].expect, Expect::Exactly(5));
    assert_eq!(text(&statements[1].text), "INSERT INTO `shop`.`t` (`n`,`s`) VALUES (7,'x'),(7,'x')");
}

#[test]
fn no_condition_is_an_equality_that_could_stand_in_for_the_column() {
    let removal = removal(&[copies(7, 1)]);
    assert!(text(&removal.count()).contains(" WHERE `n` IN (7,7) AND SHA2("), "{}", text(&removal.count()));
    let one = delete_some(&Shapes::new(&log(), None), &log(), &row(7, "x"), 1).expect("a statement");
    assert!(text(&one.text).contains(" WHERE `n` IN (7,7) AND CAST(`s` AS BINARY) <=> 'x' AND SHA2("), "{}", text(&one.text));
}

#[test]
fn more_than_there_is_cannot_be_taken() {
    let standing = HashMap::from([(copies(1, 0).0.digest.into_bytes(), 5)]);
    assert_eq!(removal(&[copies(1, 2), copies(2, 3)]).statements(&standing), Err(Shortage(3)));
}

#[test]
fn a_column_with_a_null_narrows_nothing() {
    let layout = Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, Wire::String { length_bytes: 1 }]));
    let null = RowImage::new(Arc::from([0b11]), 0, 1, layout);
    assert_eq!(narrow(&log(), &[&row(1, "x"), &null]), Ok(Vec::new()));
    assert_eq!(digest_of(&log(), &null).map(|digest| digest.len()), Ok(64));
}

#[test]
fn columns_that_may_be_long_go_into_the_digest_as_their_own() {
    let mut long = log();
    long.columns[1].type_text = "longtext".into();
    assert_eq!(
        digest_expression(&long).as_deref(),
        Some("SHA2(CONCAT(IFNULL(CONCAT(`n`+0),'~'),',',IFNULL(SHA2(CAST(`s` AS BINARY),256),'~'),','),256)")
    );
    let nested = sha2(format!("7,{},", sha2(b"x")).as_bytes());
    assert_eq!(digest_of(&long, &row(7, "x")), Ok(nested));
}

#[test]
fn rows_without_a_key_are_told_apart_by_the_sign_of_a_zero() {
    let table = table("t", vec![column("d", ColumnKind::Double)], &[]);
    let layout = Arc::new(Layout::new(vec![Wire::Double]));
    let (mut conditions, mut digests) = (Vec::new(), Vec::new());
    for number in [0.0_f64, -0.0, 1.0] {
        let bytes: Vec<u8> = [0].into_iter().chain(number.to_le_bytes()).collect();
        let row = RowImage::new(bytes.into(), 0, 9, Arc::clone(&layout));
        let mut condition = Vec::new();
        write_equals(&mut condition, &table, &row).expect("a condition");
        conditions.push(text(&condition));
        digests.push(digest_of(&table, &row).expect("a digest"));
    }
    assert_eq!(conditions, ["ABS(`d`) = 0 AND `d` NOT LIKE '-%'", "ABS(`d`) = 0 AND `d` LIKE '-%'", "`d` IN (1e0,1e0)"]);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn blanks_that_stay_are_written_as_blanks() {
    let blank = Copies { digest: "d".into(), values: Box::from(*b"0"), blanks: 1, count: 1 };
    let statements = removal(&[(blank, row(7, "x"))]).statements(&HashMap::from([(b"d".to_vec(), 3)])).expect("enough stand");
    assert_eq!(statements.iter().map(|statement| statement.blanks).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn documents_go_one_by_one() {
    let documents = table("t", vec![column("j", ColumnKind::Json)], &[]);
    assert_eq!(digest_expression(&documents), None);
    let layout = Arc::new(Layout::new(vec![Wire::Json { length_bytes: 1 }]));
    let image = RowImage::new(Arc::from([0, 2, 4, 1]), 0, 4, layout);
    let statement = delete_some(&Shapes::new(&documents, None), &documents, &image, 2).expect("a statement");
    assert_eq!(
        text(&statement.text),
        "DELETE FROM `shop`.`t` WHERE IF(`j` <=> CAST(_utf8mb4'true' AS JSON),1,0)=1 \
         AND CAST(`j` AS BINARY) <=> CAST(CAST(_utf8mb4'true' AS JSON) AS BINARY) LIMIT 2"
    );
}

proptest! {
    /// Whatever stands, what is left is what the source has left.
    #[test]
    fn a_removal_leaves_what_was_there_but_what_goes(stand in prop::collection::vec((1_u64..5, 0_u64..5), 1..8)) {
        let rows: Vec<(Copies, RowImage)> = stand.iter().zip(0_u8..).map(|((go, _), n)| copies(n, *go)).collect();
        let standing: HashMap<Vec<u8>, u64> =
            rows.iter().zip(&stand).map(|((copies, _), (_, m))| (copies.digest.clone().into_bytes(), *m)).collect();
        let missing: u64 = stand.iter().map(|(go, stand)| go.saturating_sub(*stand)).sum();
        let statements = removal(&rows).statements(&standing);
        if missing > 0 {
            prop_assert_eq!(statements, Err(Shortage(missing)));
        } else {
            let statements = statements.expect("enough stand");
            prop_assert_eq!(statements[0].expect, Expect::Exactly(stand.iter().map(|(_, stand)| stand).sum()));
            let again: String = statements[1..].iter().map(|statement| text(&statement.text)).collect();
            for ((copies, _), (go, stand)) in rows.iter().zip(&stand) {
                let tuple = format!("({})", text(&copies.values));
                prop_assert_eq!(again.matches(&tuple).count() as u64, stand - go);
            }
        }
    }
}
