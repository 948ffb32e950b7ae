//! How a server is to run.

#[derive(Clone, Debug)]
pub struct Options {
    pub gtid: bool,
    pub log_bin: bool,
    /// Commits reach the operating system at once but the disk later. Survives a killed server, not
    /// a power cut; much faster.
    pub relaxed: bool,
    /// `innodb_native_foreign_keys` of 9.7, by which the engine instead of the SQL layer carries
    /// out cascades. Refused by older servers.
    pub native_foreign_keys: bool,
    /// Further arguments of mysqld; they come last and win.
    pub args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { gtid: true, log_bin: true, relaxed: false, native_foreign_keys: false, args: Vec::new() }
    }
}

impl Options {
    pub fn relaxed() -> Self {
        Self { relaxed: true, ..Self::default() }
    }

    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// The arguments of mysqld that say so, and those that keep a test server small.
    pub fn arguments(&self) -> Vec<String> {
        let on_off = |on| if on { "ON" } else { "OFF" };
        let mut arguments = vec![
            "--loose-mysqlx=OFF".to_owned(),
            "--secure-file-priv=".to_owned(),
            "--innodb-buffer-pool-size=128M".to_owned(),
            "--performance-schema=OFF".to_owned(),
            format!("--gtid-mode={}", on_off(self.gtid)),
            format!("--enforce-gtid-consistency={}", on_off(self.gtid)),
        ];
        let mut add = |argument: &str| arguments.push(argument.to_owned());
        // The row format and full row images are the default of every version here.
        add(if self.log_bin { "--log-bin=binlog" } else { "--skip-log-bin" });
        if self.relaxed {
            add("--sync-binlog=0");
            add("--innodb-flush-log-at-trx-commit=2");
        }
        if self.native_foreign_keys {
            add("--innodb-native-foreign-keys=ON");
        }
        arguments.extend(self.args.iter().cloned());
        arguments
    }
}
