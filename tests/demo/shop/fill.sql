-- The shop's first rows, made by the server itself: one INSERT … SELECT for each table, from the
-- numbers of numbers.n in the half-open range that the program puts in for `:range`. What looks
-- random is a function of the number, so the same size is always the same shop. `:…` are sizes.

INSERT INTO customers (id, email, name, born, points, credit, kind, interests, newsletter, settings, joined)
SELECT n,
       CONCAT('customer', n, '@example.com'),
       CONCAT(ELT(1 + n % 7, 'Ada', 'Björn', 'Chloé', 'Дмитрий', 'Ελένη', '美咲', 'Zoë 🚢'), ' ',
              ELT(1 + n % 5, 'Moreau', 'Øster', 'Łoś', '山田', 'O''Hara')),
       IF(n % 7 = 0, NULL, DATE'1940-01-01' + INTERVAL n * 37 % 25000 DAY),
       n % 2001 - 1000,
       n * 13 % 100000 / 100,
       1 + n % 3,
       n % 16,
       n % 2,
       IF(n % 5 = 0, NULL, CONCAT('{"theme": "', ELT(1 + n % 3, 'light', 'dark', 'naïve 日本語 🚢'),
              '", "lists": [', n % 10, ', [', n % 7, ', null], {"open": true}], "size": {"height": ',
              150 + n % 50, '.5, "shoe": -', n % 40, '}}')),
       TIMESTAMP'2015-01-01 00:00:00.123' + INTERVAL n * 4099 % 300000000 SECOND
FROM numbers.n WHERE :range;

INSERT INTO addresses
SELECT n,
       number,
       CONCAT(ELT(1 + n % 4, 'Überseeallee', 'Rue de l''Église', 'Plaza España', 'Main Street'), ' ', n % 300),
       ELT(1 + n % 5, 'Hamburg', '大阪', 'Kraków', 'São Paulo', 'Tromsø'),
       ELT(1 + n % 5, 'DE', 'JP', 'PL', 'BR', 'NO'),
       IF(n % 9 = 0, NULL, n % 18000 / 100 - 90),
       IF(n % 9 = 0, NULL, SQRT(n) * IF(n % 2, 1, -1)),
       IF(n % 3 = 0, 'ring twice ⏰', NULL)
FROM numbers.n, (SELECT 1 AS number UNION ALL SELECT 2) AS two
WHERE :range AND number <= 1 + (n % 6 = 0);

INSERT INTO categories
SELECT CONCAT('cat-', LPAD(n, 5, '0')),
       IF(n <= 5, NULL, CONCAT('cat-', LPAD(1 + n % 5, 5, '0'))),
       CONCAT(ELT(1 + n % 3, 'Küche', 'Книги', '玩具'), ' ', n),
       n % 400 - 200
FROM numbers.n WHERE :range;

INSERT INTO products (id, sku, name, price, weight, volume, attributes, picture, active, changed)
SELECT n,
       CONCAT('SKU-', LPAD(n, 8, '0')),
       CONCAT(ELT(1 + n % 4, 'Chair', 'Lámpara', 'Стол', '茶碗'), ' № ', n),
       1 + n * 17 % 99900 / 100,
       IF(n % 11 = 0, NULL, n % 977 / 7),
       SQRT(n) / 3,
       CONCAT('{"colours": ["rouge", "зелёный", "青"], "weights": [', n % 9, '.25, -', n % 5, '], "box": {"w": ', n % 90,
              ', "h": {"min": 0, "max": ', n, '}}, "tag": "', n % 13, ' 🎁"}'),
       IF(n % 4 = 0, NULL, UNHEX(REPEAT(SHA2(n, 256), 1 + n % 8))),
       n % 10 <> 0,
       TIMESTAMP'2024-01-01 00:00:00.000001' + INTERVAL n * 7919 % 30000000000000 MICROSECOND
FROM numbers.n WHERE :range;

INSERT INTO product_categories
SELECT n, CONCAT('cat-', LPAD(1 + (n + step) % :listed, 5, '0'))
FROM numbers.n, (SELECT 0 AS step UNION ALL SELECT 1) AS two
WHERE :range AND step <= n % 2;

INSERT INTO inventory
SELECT n,
       warehouse,
       500 + n % 1000,
       CONCAT('A', CHAR(n % 256), '0', CHAR(0)),
       IF(n % 8 = 0, NULL, DATE'2025-01-01' + INTERVAL n % 300 DAY)
FROM numbers.n, (SELECT 1 AS warehouse UNION ALL SELECT 2) AS two
WHERE :range;

INSERT INTO orders
SELECT n,
       UNHEX(LEFT(SHA2(CONCAT('order ', n), 256), 32)),
       1 + n * 31 % :customers,
       1 + n % 4,
       n * 7 % 500000 / 100,
       TIMESTAMP'2025-01-01 00:00:00.5' + INTERVAL n * 211 SECOND,
       IF(n % 6 = 0, CONCAT('Bitte läuten, 谢谢 ', REPEAT('🙏', n % 4)), NULL)
FROM numbers.n WHERE :range;

INSERT INTO order_items (order_id, line, product_id, quantity, price)
SELECT n, line, 1 + (n * 13 + line * 7) % :products, 1 + (n + line) % 5, 1 + (n + line) * 17 % 99900 / 100
FROM numbers.n, (SELECT 1 AS line UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS four
WHERE :range AND line <= 1 + n % 4;

INSERT INTO payments
SELECT n,
       n,
       1 + n % 3,
       n * 7 % 500000 / 100,
       IF(n % 3 = 0, NULL, CONCAT('REF-', n)),
       IF(n % 20 = 0, NULL, TIMESTAMP'2025-01-01 00:05:00.654321' + INTERVAL n * 211 SECOND)
FROM numbers.n WHERE :range AND n % 10 <> 0;

INSERT INTO shipments
SELECT n,
       n,
       ELT(1 + n % 3, 'post', 'bahn', 'schiff 🚢'),
       IF(n % 12 = 0, NULL, UNHEX(LEFT(SHA2(n, 256), 2 + n % 19 * 2))),
       n % 4096,
       SEC_TO_TIME(n * 7 % 900000 / 8 * IF(n % 3, 1, -1)),
       n % 300 / 7,
       TIMESTAMP'2025-01-02 00:00:00' + INTERVAL n * 211 SECOND
FROM numbers.n WHERE :range AND n % 5 < 3;

INSERT INTO reviews
SELECT 1 + n % :products,
       n,
       1 + n % 5,
       ELT(1 + n % 4, 'Great ⭐', 'Pas mal', 'так себе', '最高'),
       IF(n % 3 = 0, NULL, REPEAT('Would buy again. ', n % 9)),
       TIMESTAMP'2025-03-01 00:00:00.25' + INTERVAL n * 97 SECOND
FROM numbers.n WHERE :range;

INSERT INTO audit_log
SELECT n,
       IF(n % 50 = 0, NULL, TIMESTAMP'2025-01-01 00:00:00.000001' + INTERVAL n SECOND),
       CONCAT('clerk ', n % 40),
       ELT(1 + n % 4, 'login', 'export', 'refund', 'edit'),
       IF(n % 4 = 0, NULL, CONCAT('{"n": ', n, ', "path": ["/orders", ', n % 1000, '], "ok": ', IF(n % 9, 'true', 'false'), '}')),
       IF(n % 5 = 0, UNHEX(REPEAT('00FF27225C0A', n % 30)), NULL),
       SEC_TO_TIME(n * 1117 % 1000000 / 1000),
       2000 + n % 60
FROM numbers.n WHERE :range;
