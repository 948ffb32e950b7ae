//! Whether a column of one type, as a catalog spells it, holds every value of another, and holds it as it is.
//!
//! A server in strict mode refuses most of what does not fit, but not all: a DECIMAL with fewer digits behind the point rounds, a
//! shorter VARCHAR cuts spaces, and the number of an ENUM's member means whatever member has this number. So spellings must be
//! equal, or the difference must be one of the few that can only widen.

/// Each type holds the values of those before it.
const LADDERS: [&[&str]; 3] = [
    &["tinyint", "smallint", "mediumint", "int", "bigint"],
    &["tinytext", "text", "mediumtext", "longtext"],
    &["tinyblob", "blob", "mediumblob", "longblob"],
];

/// Whether a column of type `ours` holds the values of one of type `theirs`.
pub fn holds(ours: &str, theirs: &str) -> bool {
    let ((our_word, our_rest), (their_word, their_rest)) = (split(ours), split(theirs));
    if let Some(ladder) = LADDERS.iter().find(|ladder| ladder.contains(&our_word.as_str())) {
        let rung = |word: &str| ladder.iter().position(|rung| *rung == word);
        // What is behind an integer's word is its display width, its sign (told apart elsewhere), and ZEROFILL.
        return rung(&their_word).is_some_and(|theirs| rung(&our_word) >= Some(theirs));
    }
    if our_word != their_word {
        return our_word == "geometry";
    }
    match our_word.as_str() {
        // 5.7 spells year(4).
        "year" => true,
        "varchar" | "varbinary" => length(our_rest) >= length(their_rest),
        // Members may have been added behind the last.
        "enum" | "set" => {
            let members = their_rest.strip_suffix(')').unwrap_or(their_rest);
            our_rest.strip_prefix(members).is_some_and(|more| more.starts_with([',', ')']))
        }
        _ => our_rest.eq_ignore_ascii_case(their_rest),
    }
}

/// The type's word, in the spelling that all versions share, and what is behind it.
fn split(spelled: &str) -> (String, &str) {
    let end = spelled.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(spelled.len());
    let (word, rest) = spelled.split_at(end);
    let word = word.to_ascii_lowercase();
    // 8.0.11 renamed it.
    (if word == "geomcollection" { "geometrycollection".to_owned() } else { word }, rest)
}

fn length(rest: &str) -> Option<u32> {
    rest.strip_prefix('(')?.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_widens_holds() {
        for (ours, theirs) in [
            ("int", "int(11)"),
            ("bigint(20) unsigned", "int(10) unsigned zerofill"),
            ("varchar(40)", "varchar(20)"),
            ("mediumtext", "text"),
            ("enum('a','b','c')", "enum('a','b')"),
            ("set('a''b)')", "set('a''b)')"),
            ("year", "year(4)"),
            ("geomcollection", "geometrycollection"),
            ("geometry", "point"),
            ("decimal(10,2)", "decimal(10,2)"),
        ] {
            assert!(holds(ours, theirs), "{ours} holds {theirs}");
        }
    }

    #[test]
    fn what_a_server_would_change_in_silence_does_not_hold() {
        for (ours, theirs) in [
            ("int(11)", "bigint(20)"),
            ("varchar(19)", "varchar(20)"),
            ("char(20)", "char(10)"),
            ("text", "longtext"),
            ("decimal(10,1)", "decimal(10,2)"),
            ("float(7,2)", "float"),
            ("enum('b','a')", "enum('a','b')"),
            ("enum('a','bc')", "enum('a','b')"),
            ("enum('A')", "enum('a')"),
            ("point", "geometry"),
        ] {
            assert!(!holds(ours, theirs), "{ours} does not hold {theirs}");
        }
    }
}
