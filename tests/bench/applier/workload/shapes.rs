//! The tables, rows and transactions of the workloads, as SQL text; pure. Numbers are those of scale 1.

use super::Workload;
use crate::feed::{CONNECTIONS, chance};

pub const HOT_ROWS: u64 = 100;
pub const CODES: u64 = 20_000;
pub const NAMES: u64 = 20_000;
pub const WIDE_ROWS: u64 = 20_000;
pub const PARENTS: u64 = 4_000;
pub const CHILDREN: u64 = 5;
/// 4 GiB, of rows of about a KiB.
pub const COLD_ROWS: u64 = 4_000_000;

pub fn create(workload: Workload) -> Option<String> {
    let text = match workload {
        Workload::Sysbench | Workload::Distant => return None,
        Workload::Hot => "CREATE TABLE hot (id INT PRIMARY KEY, n BIGINT NOT NULL, note VARCHAR(100) NOT NULL)",
        Workload::Insert => {
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INT NOT NULL, total DECIMAL(12,2) NOT NULL, \
             at DATETIME NOT NULL, note VARCHAR(100) NOT NULL, KEY (customer))"
        }
        Workload::Unique => {
            "CREATE TABLE codes (id INT PRIMARY KEY, code BIGINT NULL, tag VARCHAR(20) NOT NULL, n INT NOT NULL, \
             UNIQUE (code), UNIQUE (tag, n))"
        }
        Workload::Strings => {
            "CREATE TABLE names (region VARCHAR(20) COLLATE utf8mb4_general_ci, name VARCHAR(60) COLLATE utf8mb4_general_ci, \
             n INT NOT NULL, note VARCHAR(100), PRIMARY KEY (region, name))"
        }
        Workload::Wide => return Some(wide()),
        Workload::Huge => {
            "CREATE TABLE numbers (n INT PRIMARY KEY); \
             CREATE TABLE huge (id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(60) NOT NULL, at DATETIME NOT NULL)"
        }
        Workload::Keyless => {
            "CREATE TABLE log (n INT NOT NULL, at DATETIME(3) NOT NULL, level VARCHAR(10) NULL, price DOUBLE, text VARCHAR(100))"
        }
        Workload::Cascade => {
            "CREATE TABLE parents (id INT PRIMARY KEY, n INT NOT NULL); \
             CREATE TABLE children (id BIGINT PRIMARY KEY, parent INT NOT NULL, n INT NOT NULL, \
             FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE)"
        }
        Workload::Cold => "CREATE TABLE cold (id BIGINT PRIMARY KEY, n INT NOT NULL, filler VARBINARY(1000) NOT NULL)",
        Workload::Latency => "CREATE TABLE beats (id BIGINT PRIMARY KEY, n INT NOT NULL)",
    };
    Some(text.to_owned())
}

pub fn hot_row(id: u64) -> String {
    format!("({id},0,'a row that everybody wants')")
}

/// `CONNECTIONS` divides `HOT_ROWS`: each row belongs to one connection.
pub fn hot_update(number: u64) -> String {
    format!("UPDATE hot SET n = n + 1, note = 'changed by transaction {number}' WHERE id = {}", number % HOT_ROWS)
}

pub fn order(number: u64) -> String {
    let row = |id: u64| {
        let random = chance(id);
        let (customer, total, second) = (random % 50_000, random % 1_000_000, random % 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("({id},{customer},{total}.50,'2024-05-06 {hour:02}:{minute:02}:{second:02}','order {id:x} of {random:x}')")
    };
    format!(
        "INSERT INTO orders VALUES {},{},{},{}",
        row(number * 4),
        row(number * 4 + 1),
        row(number * 4 + 2),
        row(number * 4 + 3)
    )
}

pub fn code_row(id: u64) -> String {
    format!("({id},{id},'t{}',{})", id / 4 / CONNECTIONS, id / CONNECTIONS % 4 + id % CONNECTIONS * 4)
}

/// A row of the connection that runs transaction `number`: ids are dealt out to the connections in turn.
fn own(number: u64, salt: u64, rows: u64) -> u64 {
    chance(number ^ salt << 40) % (rows / CONNECTIONS) * CONNECTIONS + number % CONNECTIONS
}

/// Three changes: two rows exchange their codes, by way of NULL; every other time their tags, by way of a free one.
pub fn exchange(number: u64, rows: u64) -> String {
    let (one, mut other) = (own(number, 1, rows), own(number, 2, rows));
    if one == other {
        other = (one + CONNECTIONS) % rows;
    }
    let both = format!(
        "SELECT a.code, b.code, a.tag, b.tag, a.n, b.n INTO @ac, @bc, @at, @bt, @an, @bn \
        FROM codes a, codes b WHERE a.id = {one} AND b.id = {other}"
    );
    if (number / CONNECTIONS).is_multiple_of(2) {
        format!(
            "BEGIN; {both}; UPDATE codes SET code = NULL WHERE id = {one}; UPDATE codes SET code = @ac WHERE id = {other}; \
             UPDATE codes SET code = @bc WHERE id = {one}; COMMIT"
        )
    } else {
        format!(
            "BEGIN; {both}; UPDATE codes SET tag = 'free', n = {one} WHERE id = {one}; \
             UPDATE codes SET tag = @at, n = @an WHERE id = {other}; UPDATE codes SET tag = @bt, n = @bn WHERE id = {one}; COMMIT"
        )
    }
}

fn name_key(id: u64) -> String {
    format!("'Région {}','Ærøskøbing Straße {id}'", id % CONNECTIONS)
}

pub fn name_row(id: u64) -> String {
    format!("({},0,'new')", name_key(id))
}

/// Three changes: an update, a delete, and the same name again in other letters.
pub fn rename(number: u64, rows: u64) -> String {
    let (one, mut other) = (own(number, 1, rows), own(number, 2, rows));
    if one == other {
        other = (one + CONNECTIONS) % rows;
    }
    let region = format!("Région {}", one % CONNECTIONS);
    let name = |id: u64| format!("Ærøskøbing Straße {id}");
    let again = if (number / CONNECTIONS).is_multiple_of(2) {
        name(other).to_uppercase().replace("STRASSE", "STRAßE")
    } else {
        name(other)
    };
    format!(
        "BEGIN; UPDATE names SET n = n + 1, note = 'transaction {number}' WHERE region = '{region}' AND name = '{}'; \
         DELETE FROM names WHERE region = '{region}' AND name = '{}'; INSERT INTO names VALUES ('{region}','{again}',{number},NULL); COMMIT",
        name(one),
        name(other)
    )
}

/// Six columns of each of these.
const WIDE_TYPES: [&str; 10] = [
    "INT",
    "BIGINT UNSIGNED",
    "DECIMAL(18,4)",
    "DOUBLE",
    "FLOAT",
    "VARCHAR(60)",
    "DATETIME(3)",
    "DATE",
    "ENUM('red','green','blue')",
    "VARBINARY(40)",
];

fn wide() -> String {
    let column = |at: usize| format!("c{at} {} NULL", WIDE_TYPES[at % 10]);
    let columns: Vec<String> = (0..59).map(column).collect();
    format!("CREATE TABLE wide (id INT PRIMARY KEY, {})", columns.join(", "))
}

fn wide_value(at: u64, random: u64) -> String {
    if random.is_multiple_of(11) {
        return "NULL".to_owned();
    }
    let (day, hour, minute) = (random % 28 + 1, random % 24, random % 60);
    match at % 10 {
        0 => format!("{}", random as i32),
        1 => format!("{random}"),
        2 => format!("-{}.{:04}", random % 100_000_000, random % 10_000),
        3 | 4 => format!("{}e-3", random % 100_000_000),
        5 => format!("'text of {random:x}'"),
        6 => format!("'2023-04-{day:02} {hour:02}:{minute:02}:00.{:03}'", random % 1000),
        7 => format!("'2023-04-{day:02}'"),
        8 => format!("{}", random % 3 + 1),
        _ => format!("x'{random:016x}'"),
    }
}

pub fn wide_row(id: u64) -> String {
    let values: Vec<String> = (0..59).map(|at| wide_value(at, chance(id * 64 + at))).collect();
    format!("({id},{})", values.join(","))
}

/// Three changes: an insert and two updates.
pub fn widen(number: u64, rows: u64) -> String {
    let id = own(number, 1, rows);
    let set = |at: u64| format!("c{at} = {}", wide_value(at, chance(number * 64 + at) | 1 << 40));
    format!(
        "BEGIN; INSERT INTO wide VALUES {}; UPDATE wide SET c0 = {number}, {}, {} WHERE id = {id}; UPDATE wide SET c0 = -1 - {number}, {} \
         WHERE id = {}; COMMIT",
        wide_row(rows + number),
        set(5),
        set(6),
        set(2),
        (id + CONNECTIONS) % rows
    )
}

pub fn huge(thousands: u64) -> String {
    format!(
        "USE bench; INSERT INTO huge SELECT a.n * 1000 + b.n, b.n * 7, CONCAT('row ', a.n, ' of ', b.n), '2024-05-06 07:08:09' \
         FROM numbers a, numbers b WHERE a.n < {thousands} AND b.n < 1000"
    )
}

/// Every fifth row has a twin.
pub fn log_row(number: u64) -> String {
    let kind = if number.is_multiple_of(5) { number / 10 * 10 } else { number };
    let level = if kind.is_multiple_of(7) { "NULL" } else { "'info'" };
    format!("({kind},'2024-01-02 03:04:05.{:03}',{level},{}e-1,'message {kind} of the log')", kind % 1000, kind % 1000)
}

pub fn log_more(number: u64) -> String {
    let rows: Vec<String> = (0..10).map(|at| log_row(10_000_000 + number * 10 + at)).collect();
    format!("INSERT INTO log VALUES {}", rows.join(","))
}

pub const LOG_UPDATE: &str = "UPDATE bench.log SET text = 'changed' WHERE n % 100 = 7 AND n < 10000000";
pub const LOG_DELETE: &str = "DELETE FROM bench.log WHERE n % 10 = 3 AND n < 10000000";

pub fn child_row(id: u64) -> String {
    format!("({id},{},0)", id / CHILDREN)
}

/// A parent gets another key and back, which moves its children, and one is deleted with its children and comes again.
pub fn family(number: u64, parents: u64) -> String {
    let (one, away) = (own(number, 1, parents), 1_000_000_000 + number % CONNECTIONS);
    let mut other = own(number, 2, parents);
    if one == other {
        other = (one + CONNECTIONS) % parents;
    }
    let children: Vec<String> = (0..CHILDREN).map(|at| format!("({},{other},{number})", other * CHILDREN + at)).collect();
    format!(
        "BEGIN; UPDATE parents SET id = {away} WHERE id = {one}; UPDATE parents SET id = {one}, n = n + 1 WHERE id = {away}; \
         COMMIT; BEGIN; DELETE FROM parents WHERE id = {other}; INSERT INTO parents VALUES ({other},{number}); \
         INSERT INTO children VALUES {}; COMMIT",
        children.join(",")
    )
}

pub fn cold_row(id: u64) -> String {
    format!("({id},0,REPEAT('{:016x}',60))", chance(id))
}

pub fn thaw(number: u64, rows: u64) -> String {
    let (one, other) = (own(number, 1, rows), own(number, 2, rows));
    format!(
        "BEGIN; UPDATE cold SET n = {number} + 1 WHERE id = {one}; UPDATE cold SET n = -1 - {number} WHERE id = {other}; COMMIT"
    )
}
