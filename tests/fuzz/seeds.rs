//! Writes the corpora that the targets begin with: one file for each type of column, with a value or two, and statements.

use std::fs;
use std::path::Path;

/// Type byte, metadata, and a cell.
const CELLS: &[(u8, [u8; 2], &[u8])] = &[
    (1, [0, 0], &[0x80]),
    (2, [0, 0], &[1, 0x80]),
    (9, [0, 0], &[1, 2, 0x80]),
    (3, [0, 0], &[1, 2, 3, 0x80]),
    (8, [0, 0], &[0xff; 8]),
    (4, [4, 0], &[0xcd, 0xcc, 0xcc, 0x3d]),
    (5, [8, 0], &[0, 0, 0, 0, 0, 0, 0, 0x80]),
    (246, [14, 4], &[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2]),
    (16, [5, 1], &[0x15, 0x55]),
    (13, [0, 0], &[124]),
    (10, [0, 0], &[0x5d, 0xd0, 0x0f]),
    (11, [0, 0], &[0x40, 0xe2, 0x01]),
    (12, [0, 0], &[0x30, 0x85, 0x27, 0x47, 0x69, 0x12, 0, 0]),
    (7, [0, 0], &[1, 2, 3, 4]),
    (19, [2, 0], &[0x7f, 0xff, 0xff, 0xff]),
    (18, [6, 0], &[0x99, 0xb2, 0x7a, 0x10, 0x83, 0, 0, 4]),
    (17, [3, 0], &[0x65, 0xe0, 0, 0, 0x1f, 0x40]),
    (15, [20, 0], b"\x05it's\\"),
    (15, [0, 2], b"\x03\x00abc"),
    (254, [254, 8], b"\x02ab"),
    (254, [0xce, 0xfc], b"\x01\x00a"),
    (254, [247, 1], &[2]),
    (254, [248, 8], &[1, 0, 0, 0, 0, 0, 0, 0x80]),
    (252, [2, 0], b"\x03\x00\xff\\'"),
    // 1.5 · [1, null] · {"a": "bc"} · [{"k": [0.1]}] · a DECIMAL, a DATETIME, bytes.
    (245, [4, 0], &[9, 0, 0, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
    (245, [4, 0], &[11, 0, 0, 0, 0x02, 2, 0, 10, 0, 0x05, 1, 0, 0x04, 0, 0]),
    (245, [4, 0], &[16, 0, 0, 0, 0x00, 1, 0, 15, 0, 11, 0, 1, 0, 0x0c, 12, 0, b'a', 2, b'b', b'c']),
    (
        245,
        [4, 0],
        &[
            35, 0, 0, 0, 0x02, 1, 0, 34, 0, 0x00, 7, 0, 1, 0, 27, 0, 11, 0, 1, 0, 0x02, 12, 0, b'k', 1, 0, 15, 0, 0x0b, 7, 0,
            0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f,
        ],
    ),
    (245, [4, 0], &[7, 0, 0, 0, 0x0f, 246, 4, 3, 2, 0x81, 0x32]),
    (245, [4, 0], &[11, 0, 0, 0, 0x0f, 12, 8, 4, 0, 0, 3, 0x10, 0x7a, 0xb2, 0x19]),
    (245, [4, 0], &[6, 0, 0, 0, 0x0f, 252, 3, 1, 2, 3]),
    (255, [4, 0], &[4, 0, 0, 0, 0, 0, 0, 0]),
    (242, [4, 0], &[4, 0, 0, 0, 0, 0, 0x80, 0x3f]),
];

const WORDS: &[&str] = &[
    "/* app */ ALTER TABLE t1 ADD COLUMN zz int -- trailing",
    "CREATE TABLE IF NOT EXISTS `we``ird`.`a b` (`x` int) /*!40100 DEFAULT CHARSET 'x' */",
    "RENAME TABLE a TO b, x.c TO x.d",
    "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `tmp1`, \"q\"\"q\"",
    "ALTER TABLE t3 EXCHANGE PARTITION p0 WITH TABLE t3x WITHOUT VALIDATION",
    "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v1` AS select 1",
    "INSERT INTO `a`.b SELECT * FROM c.d # comment\n",
    "XA COMMIT X'61',X'',1",
    "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1-2,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:18446744073709551614",
    "`od``d`.t*",
    "'it\\'s'",
];

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let (images, words) = (corpus.join("row_image"), corpus.join("words"));
    fs::create_dir_all(&images)?;
    fs::create_dir_all(&words)?;
    let describe = |cell: &(u8, [u8; 2], &[u8]), choice: u8| [cell.0, cell.1[0], cell.1[1], choice, 0];
    for (at, cell) in CELLS.iter().enumerate() {
        for choice in [0, 1, 12] {
            // One column, not NULL, and the cell; then the same with a NULL before it.
            let mut alone = vec![0];
            alone.extend(describe(cell, choice));
            alone.push(0);
            alone.extend(cell.2);
            fs::write(images.join(format!("{at}-{choice}")), alone)?;
            let mut second = vec![1];
            second.extend(describe(&CELLS[0], 0));
            second.extend(describe(cell, choice));
            second.push(1);
            second.extend(cell.2);
            fs::write(images.join(format!("{at}-{choice}-null")), second)?;
        }
    }
    for (at, text) in WORDS.iter().enumerate() {
        fs::write(words.join(at.to_string()), text)?;
    }
    Ok(())
}
