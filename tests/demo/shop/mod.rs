//! The shop that the demonstration moves: its tables, its first rows, and their true sizes.

mod fill;

pub use fill::fill;

pub const DATABASE: &str = "shop";

/// In the order in which `schema.sql` creates them: a parent before its children.
pub const TABLES: [&str; 12] = [
    "customers",
    "addresses",
    "categories",
    "products",
    "product_categories",
    "inventory",
    "orders",
    "order_items",
    "payments",
    "shipments",
    "reviews",
    "audit_log",
];

const SCHEMA: &str = include_str!("schema.sql");

/// How many of each there are at first. The rest of the tables follow from these.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub rows: u64,
    pub customers: u64,
    pub products: u64,
    pub orders: u64,
    pub reviews: u64,
    pub categories: u64,
}

impl Sizes {
    /// Fewer rows than this leave a table empty.
    pub const LEAST: u64 = 1_000;

    /// The shares of a shop with `rows` rows in all; the audit log gets what the others leave.
    pub fn of(rows: u64) -> Self {
        Self {
            rows,
            customers: rows * 6 / 100,
            products: rows * 2 / 100,
            orders: rows * 13 / 100,
            reviews: rows * 3 / 100,
            categories: (rows / 5_000).max(20),
        }
    }

    /// The categories that products are sorted into: the first half. The others are drafts, which
    /// nothing refers to, so that their codes may change.
    pub fn listed(self) -> u64 {
        self.categories / 2
    }
}
