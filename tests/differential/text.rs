//! Character sets, collations, and words that find out whether somebody confuses them.

use super::dice::Dice;
use crate::lab::Version;

/// A character set, some of its collations that every version has, and texts that only it and its like can hold.
struct Charset {
    name: &'static str,
    collations: &'static [&'static str],
    words: &'static [&'static str],
}

const CHARSETS: &[Charset] = &[
    Charset {
        name: "utf8mb4",
        collations: &["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_unicode_520_ci", "utf8mb4_swedish_ci"],
        words: &["ä", "Ä", "ß", "ss", "😀", "漢字", "e\u{301}", "é", "İ", "ﾞ", "ａ"],
    },
    Charset { name: "utf8", collations: &[], words: &["ä", "Ä", "ß", "漢字", "é"] },
    Charset {
        name: "latin1",
        collations: &["latin1_swedish_ci", "latin1_german1_ci", "latin1_german2_ci", "latin1_bin", "latin1_general_cs"],
        words: &["ä", "Ä", "ß", "ÿ", "é", "\u{a0}"],
    },
    // The second byte of some of these characters is a backslash, or a quote.
    Charset { name: "gbk", collations: &["gbk_chinese_ci", "gbk_bin"], words: &["誠", "漢字", "乗", "丂"] },
    Charset { name: "sjis", collations: &["sjis_japanese_ci", "sjis_bin"], words: &["ソ", "表", "ｱ", "予"] },
    Charset { name: "cp932", collations: &["cp932_japanese_ci"], words: &["ソ", "表", "①"] },
    Charset { name: "big5", collations: &["big5_chinese_ci", "big5_bin"], words: &["功", "許", "漢"] },
    Charset { name: "gb18030", collations: &["gb18030_chinese_ci", "gb18030_bin"], words: &["誠", "漢字", "😀"] },
    Charset { name: "euckr", collations: &["euckr_korean_ci"], words: &["한글"] },
    Charset { name: "ujis", collations: &["ujis_japanese_ci"], words: &["漢字", "ｱ"] },
    Charset {
        name: "utf16",
        collations: &["utf16_general_ci", "utf16_bin", "utf16_unicode_ci"],
        words: &["ä", "Ä", "😀", "漢字"],
    },
    Charset { name: "utf16le", collations: &["utf16le_general_ci"], words: &["ä", "Ä", "😀"] },
    Charset { name: "utf32", collations: &["utf32_general_ci", "utf32_bin"], words: &["ä", "😀"] },
    Charset { name: "ucs2", collations: &["ucs2_general_ci", "ucs2_bin"], words: &["ä", "漢字"] },
    Charset { name: "ascii", collations: &["ascii_general_ci", "ascii_bin"], words: &[] },
    Charset { name: "cp1251", collations: &["cp1251_general_ci", "cp1251_bin"], words: &["Ж", "ж", "я"] },
    Charset { name: "koi8r", collations: &["koi8r_general_ci"], words: &["Ж", "ж"] },
    Charset { name: "latin2", collations: &["latin2_general_ci", "latin2_czech_cs"], words: &["č", "Č", "ř"] },
    Charset { name: "cp1250", collations: &["cp1250_general_ci", "cp1250_czech_cs"], words: &["č", "Č"] },
    Charset { name: "tis620", collations: &["tis620_thai_ci"], words: &["ก", "เก"] },
];

/// What only newer servers have.
const COLLATIONS_0900: [&str; 4] =
    ["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_ja_0900_as_cs", "utf8mb4_de_pb_0900_ai_ci"];

/// A drawn character set: how a column or a schema says so, and what it can hold besides ASCII.
pub struct Drawn {
    pub charset: &'static str,
    pub collation: Option<&'static str>,
    pub words: &'static [&'static str],
}

impl Drawn {
    pub fn clause(&self) -> String {
        let collation = self.collation.map_or_else(String::new, |collation| format!(" COLLATE {collation}"));
        format!("CHARACTER SET {}{collation}", self.charset)
    }
}

pub fn draw(dice: &mut Dice, version: Version) -> Drawn {
    // Half of all text is what most text is.
    let charset = if dice.chance(40) { &CHARSETS[0] } else { dice.pick(CHARSETS) };
    let mut collation = (!charset.collations.is_empty() && dice.chance(80)).then(|| *dice.pick(charset.collations));
    if version != Version::V57 && charset.name == "utf8mb4" && dice.chance(50) {
        collation = Some(*dice.pick(&COLLATIONS_0900));
    }
    if version == Version::V97 && charset.name == "utf8mb4" && dice.chance(10) {
        collation = Some("utf8mb4_0900_bin");
    }
    Drawn { charset: charset.name, collation, words: charset.words }
}

/// Texts that mean something to a lexer, to a collation, to a protocol.
const PLAIN: [&str; 16] =
    ["", " ", "a", "A", "a ", "b", "B  ", "it's", "back\\slash", "%_", "\0", "\t\n", "NULL", "--", "`", "\"q\""];

/// Different texts of at most `length` characters; `wide` of them are numbered, and differ for every collation.
pub fn texts(dice: &mut Dice, words: &[&str], length: usize, wide: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let cut = |text: String| text.chars().take(length).collect::<String>();
    for at in 0..wide {
        let word = if words.is_empty() || dice.chance(50) { *dice.pick(&["k", "K", "x ", "Z"]) } else { *dice.pick(words) };
        texts.push(cut(format!("{at}{word}{}", dice.pick(&["", "", " ", "X", "x"]))));
    }
    for plain in PLAIN.iter().chain(words).filter(|_| dice.chance(60)) {
        texts.push(cut((*plain).to_owned()));
    }
    texts.push(cut(dice.pick(&["y", "Y"]).repeat(length.min(300))));
    texts
}

/// A text as a literal that means the same under every `sql_mode` and every `NAMES`.
pub fn literal(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | ',' | '.' | ':' | '%');
    if text.chars().all(plain) { format!("'{text}'") } else { format!("_utf8mb4 x'{}'", hex(text.as_bytes())) }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
