//! As many columns as InnoDB takes, near enough.

use super::{Case, Pair, Route, arrive};

const COLUMNS: usize = 1000;

async fn a_thousand_columns_arrive(route: Route) {
    let columns: Vec<String> = (1..COLUMNS).map(|number| format!("c{number}")).collect();
    // Pages hold half a row each; types that take little keep a row of them below that.
    let kinds = ["INT", "VARCHAR(20) CHARACTER SET latin1", "TINYINT UNSIGNED", "DATE", "SET('a','b')", "BIT(3)"];
    let literals = ["-7", "'x'", "255", "'2024-02-29'", "3", "b'101'"];
    let definitions: Vec<String> =
        columns.iter().enumerate().map(|(at, name)| format!("{name} {} NULL", kinds[at % kinds.len()])).collect();
    let full: Vec<&str> = (0..columns.len()).map(|at| literals[at % literals.len()]).collect();
    let every_other: Vec<&str> =
        (0..columns.len()).map(|at| if at % 2 == 0 { "NULL" } else { literals[at % literals.len()] }).collect();
    let null = vec!["NULL"; columns.len()];
    let mut before = format!("CREATE TABLE wide (id INT PRIMARY KEY, {}); ", definitions.join(", "));
    for (id, row) in [full, null, every_other].iter().enumerate() {
        before += &format!("INSERT INTO wide VALUES ({id}, {}); ", row.join(", "));
    }
    let after = super::stir("wide", &columns, 3);
    let case = Case { database: "sheets", tables: vec!["wide".to_owned()], before, after };
    arrive(&Pair::start(route).await, &[case]).await;
}

on_routes! { a_thousand_columns_arrive,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
