-- The shop: twelve related tables with the types that applications use, valid from MySQL 5.7 on.
-- Every table has a primary key, and every foreign key restricts.

CREATE TABLE customers (
    id         INT UNSIGNED NOT NULL AUTO_INCREMENT,
    email      VARCHAR(120) NOT NULL,
    name       VARCHAR(80) NOT NULL,
    born       DATE NULL,
    points     INT NOT NULL DEFAULT 0,
    credit     DECIMAL(12,2) NOT NULL DEFAULT '0.00',
    kind       ENUM('guest', 'member', 'trade') NOT NULL DEFAULT 'guest',
    interests  SET('books', 'music', 'tools', 'garden') NOT NULL DEFAULT '',
    newsletter BIT(1) NOT NULL,
    settings   JSON NULL,
    joined     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY email (email),
    KEY joined (joined)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE addresses (
    customer_id INT UNSIGNED NOT NULL,
    number      TINYINT UNSIGNED NOT NULL,
    street      VARCHAR(80) CHARACTER SET latin1 NOT NULL,
    city        VARCHAR(60) NOT NULL,
    country     CHAR(2) NOT NULL,
    latitude    DOUBLE NULL,
    longitude   DOUBLE NULL,
    note        TEXT NULL,
    PRIMARY KEY (customer_id, number),
    CONSTRAINT address_of FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE categories (
    code     VARCHAR(32) CHARACTER SET ascii NOT NULL,
    parent   VARCHAR(32) CHARACTER SET ascii NULL,
    title    VARCHAR(80) NOT NULL,
    position SMALLINT NOT NULL,
    PRIMARY KEY (code),
    CONSTRAINT category_in FOREIGN KEY (parent) REFERENCES categories (code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE products (
    id          INT UNSIGNED NOT NULL AUTO_INCREMENT,
    sku         CHAR(12) CHARACTER SET ascii NOT NULL,
    name        VARCHAR(120) NOT NULL,
    price       DECIMAL(10,2) NOT NULL,
    price_gross DECIMAL(12,2) GENERATED ALWAYS AS (ROUND(price * 1.19, 2)) STORED,
    weight      FLOAT NULL,
    volume      DOUBLE NULL,
    attributes  JSON NOT NULL,
    picture     BLOB NULL,
    active      TINYINT(1) NOT NULL DEFAULT 1,
    changed     DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY sku (sku),
    KEY price_gross (price_gross)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE product_categories (
    product_id INT UNSIGNED NOT NULL,
    category   VARCHAR(32) CHARACTER SET ascii NOT NULL,
    PRIMARY KEY (product_id, category),
    CONSTRAINT sorted_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT sorted_into FOREIGN KEY (category) REFERENCES categories (code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE inventory (
    product_id INT UNSIGNED NOT NULL,
    warehouse  SMALLINT UNSIGNED NOT NULL,
    quantity   INT NOT NULL,
    shelf      BINARY(4) NOT NULL,
    counted    DATE NULL,
    PRIMARY KEY (product_id, warehouse),
    CONSTRAINT stock_of FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    uid         BINARY(16) NOT NULL,
    customer_id INT UNSIGNED NOT NULL,
    state       ENUM('new', 'paid', 'shipped', 'returned') NOT NULL,
    total       DECIMAL(12,2) NOT NULL,
    placed      DATETIME(6) NOT NULL,
    note        TEXT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uid (uid),
    KEY placed (placed),
    CONSTRAINT ordered_by FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE order_items (
    order_id   BIGINT UNSIGNED NOT NULL,
    line       SMALLINT UNSIGNED NOT NULL,
    product_id INT UNSIGNED NOT NULL,
    quantity   MEDIUMINT NOT NULL,
    price      DECIMAL(10,2) NOT NULL,
    amount     DECIMAL(14,2) GENERATED ALWAYS AS (quantity * price) VIRTUAL,
    PRIMARY KEY (order_id, line),
    CONSTRAINT item_of FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT item_is FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE payments (
    id        BIGINT NOT NULL AUTO_INCREMENT,
    order_id  BIGINT UNSIGNED NOT NULL,
    method    ENUM('card', 'transfer', 'voucher') NOT NULL,
    amount    DECIMAL(12,2) NOT NULL,
    reference VARCHAR(40) NULL,
    paid      TIMESTAMP(6) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY reference (reference),
    CONSTRAINT payment_of FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE shipments (
    id       BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_id BIGINT UNSIGNED NOT NULL,
    carrier  CHAR(8) NOT NULL,
    tracking VARBINARY(20) NULL,
    flags    BIT(12) NOT NULL,
    handling TIME(3) NOT NULL,
    weight   FLOAT NULL,
    shipped  DATETIME NOT NULL,
    PRIMARY KEY (id),
    KEY tracking (tracking),
    CONSTRAINT shipment_of FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE reviews (
    product_id  INT UNSIGNED NOT NULL,
    customer_id INT UNSIGNED NOT NULL,
    stars       TINYINT UNSIGNED NOT NULL,
    title       VARCHAR(100) NOT NULL,
    body        TEXT NULL,
    written     DATETIME(3) NOT NULL,
    PRIMARY KEY (product_id, customer_id),
    CONSTRAINT review_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT review_by FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE audit_log (
    id      BIGINT NOT NULL AUTO_INCREMENT,
    at      TIMESTAMP(6) NULL,
    actor   VARCHAR(40) NOT NULL,
    action  VARCHAR(20) NOT NULL,
    detail  JSON NULL,
    payload MEDIUMBLOB NULL,
    took    TIME(6) NOT NULL,
    season  YEAR NOT NULL,
    PRIMARY KEY (id),
    KEY actor (actor, at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
