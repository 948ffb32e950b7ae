//! What the application does: one method, one kind of transaction.
//!
//! Together they make every kind of change that a replica has to get right: rows that are made and
//! deleted within seconds, many rows in one transaction, a primary key that changes, and unique
//! values that two rows exchange.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Transaction, TxOpts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::CONNECTIONS;
use crate::shop::Sizes;

/// How many unshipped orders a connection remembers; beyond this the oldest stay as they are.
const REMEMBERED: usize = 500;

pub struct Trader {
    conn: Conn,
    rng: StdRng,
    sizes: Sizes,
    number: u64,
    /// Our own orders that are paid and not yet shipped.
    open: Vec<u64>,
    /// The present codes of the draft categories that are ours to rename.
    drafts: Vec<String>,
    renamed: u64,
}

impl Trader {
    pub fn new(conn: Conn, sizes: Sizes, seed: u64, number: u64) -> Self {
        let drafts = (sizes.listed() + 1..=sizes.categories)
            .filter(|draft| draft % CONNECTIONS == number)
            .map(|draft| format!("cat-{draft:05}"))
            .collect();
        Self { conn, rng: StdRng::seed_from_u64(seed.wrapping_add(number)), sizes, number, open: Vec::new(), drafts, renamed: 0 }
    }

    pub async fn close(self) -> Result<(), Error> {
        self.conn.disconnect().await
    }

    /// One transaction. When it fails it is rolled back, and nothing is remembered of it.
    pub async fn trade(&mut self) -> Result<(), Error> {
        match self.rng.random_range(0..100) {
            0..18 if !self.open.is_empty() => self.ship().await,
            18..28 if !self.open.is_empty() => self.cancel().await,
            28..40 => self.review().await,
            40..48 => self.change_price().await,
            48..53 => self.exchange_emails().await,
            53..55 if !self.drafts.is_empty() => self.rename_category().await,
            55..60 => self.change_settings().await,
            _ => self.place_order().await,
        }
    }

    fn customer(&mut self) -> u64 {
        self.rng.random_range(1..=self.sizes.customers)
    }

    fn product(&mut self) -> u64 {
        self.rng.random_range(1..=self.sizes.products)
    }

    async fn place_order(&mut self) -> Result<(), Error> {
        let uid: [u8; 16] = self.rng.random();
        let (customer, warehouse) = (self.customer(), self.rng.random_range(1..=2));
        let note = self.rng.random_bool(0.2).then_some("bitte läuten 🔔");
        let mut lines: Vec<(u64, u32)> =
            (0..self.rng.random_range(1..=4)).map(|_| (self.product(), self.rng.random_range(1..=3))).collect();
        // In one order everywhere, so that two orders rarely wait for each other.
        lines.sort_unstable();
        let method = self.rng.random_range(1..=3);

        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop(
            "INSERT INTO orders (uid, customer_id, state, total, placed, note)
             VALUES (?, ?, 'paid', 0, NOW(6), ?)",
            (uid.to_vec(), customer, note),
        )
        .await?;
        let order = tx.last_insert_id().unwrap_or_default();
        for (line, (product, quantity)) in (1..).zip(lines) {
            put_item(&mut tx, order, line, product, quantity, warehouse).await?;
        }
        tx.exec_drop(
            "UPDATE orders SET total = (SELECT SUM(amount) FROM order_items WHERE order_id = ?)
             WHERE id = ?",
            (order, order),
        )
        .await?;
        let reference = (method != 3).then(|| format!("REF-{order}-{}", self.number));
        tx.exec_drop(
            "INSERT INTO payments (order_id, method, amount, reference, paid)
             SELECT id, ?, total, ?, NOW(6) FROM orders WHERE id = ?",
            (method, reference, order),
        )
        .await?;
        tx.commit().await?;
        if self.open.len() < REMEMBERED {
            self.open.push(order);
        }
        Ok(())
    }

    async fn ship(&mut self) -> Result<(), Error> {
        let chosen = self.rng.random_range(0..self.open.len());
        let order = self.open[chosen];
        let tracking: [u8; 9] = self.rng.random();
        let flags = self.rng.random_range(0..4096);
        let grams = self.rng.random_range(100..30_000);

        let mut tx = begin(&mut self.conn).await?;
        let shipped = "UPDATE orders SET state = 'shipped' WHERE id = ?";
        tx.exec_drop(shipped, (order,)).await?;
        tx.exec_drop(
            "INSERT INTO shipments (order_id, carrier, tracking, flags, handling, weight, shipped)
             VALUES (?, 'schiff 🚢', ?, ?, SEC_TO_TIME(? / 7), ? / 1000, NOW())",
            (order, tracking.to_vec(), flags, grams, grams),
        )
        .await?;
        tx.exec_drop(
            "INSERT INTO audit_log (at, actor, action, detail, payload, took, season)
             VALUES (NOW(6), CURRENT_USER(), 'ship', JSON_OBJECT('order', ?, 'to', JSON_ARRAY('küste', NULL)), ?, '-00:00:01.5', 2026)",
            (order, tracking.repeat(5)),
        )
        .await?;
        tx.commit().await?;
        self.open.swap_remove(chosen);
        Ok(())
    }

    /// Deletes the order with all that belongs to it.
    async fn cancel(&mut self) -> Result<(), Error> {
        let chosen = self.rng.random_range(0..self.open.len());
        let order = self.open[chosen];
        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop(
            "UPDATE inventory JOIN order_items USING (product_id)
             SET inventory.quantity = inventory.quantity + order_items.quantity
             WHERE order_id = ? AND warehouse = 1",
            (order,),
        )
        .await?;
        for delete in [
            "DELETE FROM payments WHERE order_id = ?",
            "DELETE FROM order_items WHERE order_id = ?",
            "DELETE FROM orders WHERE id = ?",
        ] {
            tx.exec_drop(delete, (order,)).await?;
        }
        tx.commit().await?;
        self.open.swap_remove(chosen);
        Ok(())
    }

    /// A new review, or a changed mind.
    async fn review(&mut self) -> Result<(), Error> {
        let (product, customer) = (self.product(), self.customer());
        let stars = self.rng.random_range(1..=5);
        let title = "⭐".repeat(stars);
        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop(
            "INSERT INTO reviews (product_id, customer_id, stars, title, body, written)
             VALUES (?, ?, ?, ?, NULL, NOW(3))
             ON DUPLICATE KEY UPDATE stars = ?, body = 'changed my mind', written = NOW(3)",
            (product, customer, stars, title, stars),
        )
        .await?;
        tx.commit().await
    }

    async fn change_price(&mut self) -> Result<(), Error> {
        let (product, cents) = (self.product(), self.rng.random_range(100..100_000));
        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop("UPDATE products SET price = ? / 100, changed = NOW(6) WHERE id = ?", (cents, product)).await?;
        tx.commit().await
    }

    /// Two customers exchange their unique e-mail addresses, by way of a third value.
    async fn exchange_emails(&mut self) -> Result<(), Error> {
        let first = self.rng.random_range(1..self.sizes.customers);
        let second = self.rng.random_range(first + 1..=self.sizes.customers);
        let between = format!("exchange{}@example.com", self.number);
        let mut tx = begin(&mut self.conn).await?;
        let emails: Vec<String> =
            tx.exec("SELECT email FROM customers WHERE id IN (?, ?) ORDER BY id FOR UPDATE", (first, second)).await?;
        if let [of_first, of_second] = &emails[..] {
            let steps = [(between.as_str(), first), (of_first, second), (of_second, first)];
            for step in steps {
                tx.exec_drop("UPDATE customers SET email = ? WHERE id = ?", step).await?;
            }
        }
        tx.commit().await
    }

    /// Changes a primary key.
    async fn rename_category(&mut self) -> Result<(), Error> {
        let chosen = self.rng.random_range(0..self.drafts.len());
        let code = format!("draft-{}-{}", self.number, self.renamed);
        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop("UPDATE categories SET code = ?, position = -position WHERE code = ?", (&code, &self.drafts[chosen]))
            .await?;
        tx.commit().await?;
        self.drafts[chosen] = code;
        self.renamed += 1;
        Ok(())
    }

    async fn change_settings(&mut self) -> Result<(), Error> {
        let (customer, points) = (self.customer(), self.rng.random_range(-50..100));
        let mut tx = begin(&mut self.conn).await?;
        tx.exec_drop(
            "UPDATE customers
             SET points = points + ?, newsletter = 1, interests = 'books,garden',
                 settings = JSON_SET(COALESCE(settings, '{}'), '$.theme', 'тёмная', '$.seen', ?)
             WHERE id = ?",
            (points, points, customer),
        )
        .await?;
        tx.commit().await
    }
}

async fn begin(conn: &mut Conn) -> Result<Transaction<'_>, Error> {
    conn.start_transaction(TxOpts::default()).await
}

/// One line of an order, at today's price, taken from the stock.
async fn put_item(
    tx: &mut Transaction<'_>,
    order: u64,
    line: u32,
    product: u64,
    quantity: u32,
    warehouse: u32,
) -> Result<(), Error> {
    tx.exec_drop(
        "INSERT INTO order_items (order_id, line, product_id, quantity, price)
         SELECT ?, ?, id, ?, price FROM products WHERE id = ?",
        (order, line, quantity, product),
    )
    .await?;
    tx.exec_drop(
        "UPDATE inventory SET quantity = quantity - ? WHERE product_id = ? AND warehouse = ?",
        (quantity, product, warehouse),
    )
    .await
}
