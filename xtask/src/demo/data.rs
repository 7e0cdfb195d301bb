//! The data of the demo: over 200,000 rows with everything that tends to get lost on the way.

/// Rows of the larger tables; `shop` has more than 200,000 in all.
const CUSTOMERS: u32 = 20_000;
const ORDERS: u32 = 60_000;
const ITEMS: u32 = 150_000;
const ATTACHMENTS: u32 = 2_000;

/// Gives the statements that make the data, in order. MariaDB's SEQUENCE engine generates the rows.
pub(super) fn statements() -> Vec<String> {
    let mut statements: Vec<String> = TABLES.iter().map(|text| (*text).to_owned()).collect();
    statements.push(format!(
        "INSERT INTO customer (id, name, email, mood, born)
         SELECT seq, CONCAT('Customer ', seq), CONCAT('c', seq, '@example.org'),
                ELT(1 + seq % 4, '😀', '🦭 ahoy', 'naïve \\\\ \\'quoted\\'', NULL), DATE_ADD('1950-01-01', INTERVAL seq % 20000 DAY)
         FROM seq_1_to_{CUSTOMERS}"
    ));
    statements.push(format!(
        "INSERT INTO `order` (id, customer_id, placed_at, note)
         SELECT seq, 1 + seq % {CUSTOMERS}, TIMESTAMPADD(SECOND, seq, '2026-01-01 00:00:00'),
                CONCAT('line one\\nline two; -- no comment ', MD5(seq))
         FROM seq_1_to_{ORDERS}"
    ));
    statements.push(format!(
        "INSERT INTO order_item (order_id, line, product, cents, quantity)
         SELECT 1 + seq % {ORDERS}, 1 + seq DIV {ORDERS}, CONCAT('product ', seq % 997), 100 + seq % 100000, 1 + seq % 9
         FROM seq_1_to_{ITEMS}"
    ));
    statements.push(format!(
        "INSERT INTO attachment (id, body, digest)
         SELECT seq, CONCAT(CHAR(0, 10, 13, 26, 39, 92), UNHEX(SHA2(seq, 512)), UNHEX(SHA2(seq + 1, 512))), UNHEX(SHA2(seq, 256))
         FROM seq_1_to_{ATTACHMENTS}"
    ));
    statements.extend(OBJECTS.iter().map(|text| (*text).to_owned()));
    statements
}

const TABLES: [&str; 8] = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    "USE shop",
    "CREATE TABLE customer (
       id INT UNSIGNED PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL,
       mood VARCHAR(40), born DATE, orders INT NOT NULL DEFAULT 0, UNIQUE KEY by_email (email)
     ) ENGINE=InnoDB",
    "CREATE TABLE `order` (
       id INT UNSIGNED PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, placed_at DATETIME NOT NULL, note TEXT,
       KEY by_customer (customer_id), CONSTRAINT order_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
     ) ENGINE=InnoDB",
    "CREATE TABLE order_item (
       order_id INT UNSIGNED NOT NULL, line SMALLINT UNSIGNED NOT NULL, product VARCHAR(40) NOT NULL,
       cents INT NOT NULL, quantity TINYINT NOT NULL, total INT AS (cents * quantity) STORED,
       PRIMARY KEY (order_id, line), KEY by_product (product),
       CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES `order` (id) ON DELETE CASCADE
     ) ENGINE=InnoDB",
    "CREATE TABLE attachment (
       id INT UNSIGNED PRIMARY KEY, body VARBINARY(255) NOT NULL, digest BINARY(32) NOT NULL
     ) ENGINE=InnoDB",
    "CREATE TABLE audit (
       id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, at DATETIME NOT NULL, what VARCHAR(200) NOT NULL
     ) ENGINE=InnoDB",
    "CREATE TABLE `odd name.with ``ticks`` 표` (id INT PRIMARY KEY, empty TEXT) ENGINE=InnoDB",
];

const OBJECTS: [&str; 8] = [
    "CREATE TRIGGER order_counts AFTER INSERT ON `order` FOR EACH ROW
       UPDATE customer SET orders = orders + 1 WHERE id = NEW.customer_id",
    "CREATE TRIGGER customer_mail BEFORE UPDATE ON customer FOR EACH ROW SET NEW.email = LOWER(NEW.email)",
    "CREATE VIEW turnover AS
       SELECT o.customer_id, SUM(i.total) AS cents FROM `order` o JOIN order_item i ON i.order_id = o.id
       GROUP BY o.customer_id",
    "CREATE VIEW best AS SELECT customer_id, cents FROM turnover WHERE cents > 100000",
    "CREATE FUNCTION euros(cents INT) RETURNS VARCHAR(20) DETERMINISTIC
       RETURN CONCAT(FORMAT(cents / 100, 2), ' €')",
    "CREATE PROCEDURE close_day(IN day DATE)
     BEGIN
       -- Table structure for table `not_a_table`
       INSERT INTO audit (at, what) VALUES (NOW(), CONCAT('closed ', day, '; done'));
     END",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO CALL close_day(CURRENT_DATE)",
    "INSERT INTO `order` VALUES (4000001, 1, '2026-02-02 02:02:02', NULL)",
];

/// Counts the rows of the larger tables.
pub(super) const COUNT_ROWS: &str =
    "SELECT (SELECT COUNT(*) FROM shop.customer) + (SELECT COUNT(*) FROM shop.`order`)
    + (SELECT COUNT(*) FROM shop.order_item) + (SELECT COUNT(*) FROM shop.attachment)";
