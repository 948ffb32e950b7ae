//! Columns that nobody wrote into the definition, or that `SELECT *` does not show: functional indexes, invisible columns, primary
//! keys that the server makes; and what the server computes: defaults, generated columns, figures on a map.

use super::{Case, Pair, Route, arrive, stir};
use crate::ferry::Ferry;
use crate::lab::Version;
use crate::real::refusals::{DATA, assert_refused};
use crate::real::rows::assert_equal;

/// Every kind of figure, in the plane and, where the server knows it, on the globe.
const FIGURES: [&str; 9] = [
    "POINT(1 2)",
    "LINESTRING(0 0,1 1,2 0)",
    "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 1))",
    "MULTIPOINT(0 0,1 1)",
    "MULTILINESTRING((0 0,1 1),(2 2,3 3))",
    "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))",
    "GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 1)),MULTIPOINT(2 2,3 3))",
    "POINT(-0.1 1e-300)",
];
const KINDS: [&str; 8] =
    ["GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"];

fn figures() -> Case<'static> {
    let columns: Vec<String> = KINDS.iter().map(|kind| kind.to_lowercase() + "_").collect();
    let definitions: Vec<String> = columns.iter().zip(KINDS).map(|(column, kind)| format!("{column} {kind}")).collect();
    let mut before = format!("CREATE TABLE figures (id INT PRIMARY KEY, {}); ", definitions.join(", "));
    let mut rows = 0;
    for srid in [0, 4326] {
        for figure in FIGURES {
            let kind = figure.split('(').next().unwrap_or_default().to_lowercase() + "_";
            let value = format!("ST_GeomFromText('{figure}', {srid})");
            before += &format!("INSERT INTO figures (id, geometry_, {kind}) VALUES ({rows}, {value}, {value}); ");
            rows += 1;
        }
    }
    Case { database: "maps", tables: vec!["figures".to_owned()], before, after: stir("figures", &columns, rows) }
}

/// From 8.0.13 on. A column that came after a functional index stands behind the index's hidden one; 8.0.15 announces that in the
/// middle of the others, and the stream stops there.
fn computed(wider: bool) -> Case<'static> {
    let before = "CREATE TABLE by_function (id INT PRIMARY KEY, n INT, s VARCHAR(20), KEY plus ((n + 1)), KEY lower_s ((LOWER(s)), n)); \
        INSERT INTO by_function VALUES (0, 1, 'A'), (1, NULL, 'b'), (2, -5, NULL); \
        CREATE TABLE then_wider LIKE by_function; ALTER TABLE then_wider ADD COLUMN more VARCHAR(9) DEFAULT 'x', ADD COLUMN d DOUBLE; \
        INSERT INTO then_wider VALUES (0, 1, 'A', 'B', 0.1), (1, NULL, 'b', NULL, NULL), (2, -5, NULL, 'ü', -1e300); \
        CREATE TABLE defaults (id INT PRIMARY KEY, d JSON DEFAULT (JSON_ARRAY(1, 2)), u VARCHAR(36) DEFAULT (UUID()), n INT DEFAULT (1 + 2)); \
        INSERT INTO defaults (id) VALUES (0), (1); INSERT INTO defaults VALUES (2, NULL, NULL, NULL)";
    let names = |list: &str| list.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let after = [
        stir("by_function", &names("n s"), 3),
        stir("defaults", &names("d u n"), 3),
        "INSERT INTO defaults (id) VALUES (77), (78)".to_owned(),
    ]
    .concat();
    let tables = if wider { "by_function then_wider defaults" } else { "by_function defaults" };
    let after = if wider { after + "; " + &stir("then_wider", &names("n s more d"), 3) } else { after };
    Case { database: "computed", tables: names(tables), before: before.to_owned(), after }
}

/// From 8.0.23 and 8.0.30 on.
fn invisible() -> Case<'static> {
    let before = "CREATE TABLE shy (id INT PRIMARY KEY, a INT INVISIBLE, b VARCHAR(9), c INT AS (id + 1) VIRTUAL INVISIBLE); \
        INSERT INTO shy (id, a, b) VALUES (0, 1, 'x'), (1, NULL, NULL), (2, -1, ''); \
        SET sql_generate_invisible_primary_key = ON; CREATE TABLE keyed_by_server (n INT, s VARCHAR(9)); \
        INSERT INTO keyed_by_server (n, s) VALUES (1, 'a'), (1, 'a'), (NULL, NULL); \
        CREATE TABLE vectors (id INT PRIMARY KEY, one VECTOR(1), most VECTOR(16383)); \
        INSERT INTO vectors VALUES (0, STRING_TO_VECTOR('[1]'), UNHEX(REPEAT('0000803F', 16383))), (1, NULL, NULL), (2, UNHEX('FFFF7F7F'), UNHEX('00000080'))";
    let names = |list: &str| list.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let after = [
        stir("shy", &names("a b"), 3),
        "INSERT INTO keyed_by_server (n, s) SELECT n, s FROM keyed_by_server; UPDATE keyed_by_server SET n = 9 WHERE my_row_id = 2; \
         DELETE FROM keyed_by_server WHERE my_row_id = 1; "
            .to_owned(),
        stir("vectors", &names("one most"), 3),
    ]
    .concat();
    Case { database: "shy", tables: names("shy keyed_by_server vectors"), before: before.to_owned(), after }
}

async fn what_is_hidden_or_computed_arrives(route: Route) {
    let mut cases = vec![figures()];
    match route.source {
        Version::V57 => {}
        Version::V80 => cases.push(computed(false)),
        Version::V97 => cases.extend([computed(true), invisible()]),
    }
    arrive(&Pair::start(route).await, &cases).await;
}

on_routes! { what_is_hidden_or_computed_arrives,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// The target makes keys, too, where a table comes without one; ours come with theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_demands_primary_keys_takes_tables_that_have_one() {
    let pair = Pair::start(Route::V97).await;
    pair.target.exec("SET GLOBAL sql_require_primary_key = ON; SET GLOBAL sql_generate_invisible_primary_key = ON").await;
    pair.source
        .exec("CREATE DATABASE shop; SET sql_generate_invisible_primary_key = ON; CREATE TABLE shop.t (n INT); INSERT INTO shop.t (n) VALUES (1), (2)")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t (n) VALUES (3); UPDATE shop.t SET n = 0 WHERE my_row_id = 1").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);

    // What it would add to a table without a key is no column of the source's.
    pair.target.exec("SET GLOBAL sql_require_primary_key = OFF").await;
    pair.source.exec("CREATE DATABASE bare; CREATE TABLE bare.t (n INT NOT NULL UNIQUE)").await;
    let mut task = pair.task(&["bare.*"]);
    "bare".clone_into(&mut task.name);
    assert_refused(&pair, &task, DATA, &["target.primary_keys", "bare.t", "sql_generate_invisible_primary_key"]).await;
}
