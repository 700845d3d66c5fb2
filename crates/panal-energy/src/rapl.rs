//! RAPL's counters as Linux shows them: a folder for each domain, in which a number of microjoules grows and wraps around.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Linux shows them (Documentation/power/powercap/powercap.rst).
pub(crate) const FOLDER: &str = "/sys/class/powercap";

/// The counters of all packages, and of memory where it has one.
#[derive(Debug)]
pub(crate) struct Rapl {
    domains: Vec<Domain>,
}

#[derive(Debug)]
struct Domain {
    name: String,
    file: PathBuf,
    /// Where the counter wraps around, in microjoules.
    range: u64,
    last: u64,
    /// Microjoules since it was opened.
    total: u64,
}

impl Rapl {
    /// Opens the counters below `folder` and reads each once.
    ///
    /// # Errors
    /// Why the energy can't be measured, in words: there are no counters, or one can't be read.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let mut domains = Vec::new();
        for zone in zones(folder, "intel-rapl:") {
            let name = text(&zone.join("name"))?;
            // `psys` is the whole platform and holds the packages.
            if name.starts_with("psys") {
                continue;
            }
            domains.push(Domain::open(name.clone(), &zone)?);
            // A package's own parts are in it; memory is not.
            for part in zones(&zone, "intel-rapl:") {
                let part_name = text(&part.join("name"))?;
                if part_name == "dram" {
                    domains.push(Domain::open(format!("{name} {part_name}"), &part)?);
                }
            }
        }
        if domains.is_empty() {
            return Err("this machine shows no RAPL counters".to_owned());
        }
        Ok(Self { domains })
    }

    /// Reads every counter. To be called before any of them can wrap around twice: at 300 W that is every 15 minutes.
    pub(crate) fn sample(&mut self) -> Result<(), String> {
        self.domains.iter_mut().try_for_each(Domain::sample)
    }

    /// Joules of all domains since they were opened.
    pub(crate) fn joules(&self) -> f64 {
        self.domains.iter().map(|domain| domain.total as f64 / 1e6).sum()
    }

    /// The domains, as in `package-0, package-0 dram`.
    pub(crate) fn names(&self) -> String {
        self.domains.iter().map(|domain| domain.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Domain {
    fn open(name: String, zone: &Path) -> Result<Self, String> {
        let (file, range) = (zone.join("energy_uj"), number(&zone.join("max_energy_range_uj"))?);
        let last = number(&file)?;
        Ok(Self { name, file, range, last, total: 0 })
    }

    fn sample(&mut self) -> Result<(), String> {
        let now = number(&self.file)?;
        self.total += since(self.last, now, self.range);
        self.last = now;
        Ok(())
    }
}

/// Microjoules from one reading to the next, of a counter that begins again at 0 after `range`.
fn since(last: u64, now: u64, range: u64) -> u64 {
    if now >= last { now - last } else { range.saturating_sub(last) + now }
}

/// Folders directly in `folder` whose names begin so, in order. The names of parts have a second number.
fn zones(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let own = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let prefix = if own.starts_with(prefix) { format!("{own}:") } else { prefix.to_owned() };
    let is_zone = |name: &str| {
        let number = name.strip_prefix(&prefix);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_zone(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn text(file: &Path) -> Result<String, String> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => {
            Err(format!("RAPL's {} can't be read ({error}); make it readable, or run as root", file.display()))
        }
    }
}

fn number(file: &Path) -> Result<u64, String> {
    let text = text(file)?;
    text.parse().map_err(|_| format!("RAPL's {} holds `{text}`, which is no number of microjoules", file.display()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: u64 = 262_143_328_850;

    fn zone(folder: &Path, zone: &str, name: &str, energy: u64) {
        let folder = folder.join(zone);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("name"), format!("{name}\n")).unwrap();
        fs::write(folder.join("max_energy_range_uj"), format!("{RANGE}\n")).unwrap();
        set(&folder, energy);
    }

    fn set(zone: &Path, energy: u64) {
        fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
    }

    /// Two packages with their parts, as a server shows them, and what must not be counted twice.
    fn server() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        zone(folder.path(), "intel-rapl:0", "package-0", 1_000_000);
        zone(folder.path(), "intel-rapl:0/intel-rapl:0:0", "core", 5);
        zone(folder.path(), "intel-rapl:0/intel-rapl:0:1", "dram", 0);
        zone(folder.path(), "intel-rapl:1", "package-1", RANGE - 500_000);
        zone(folder.path(), "intel-rapl:2", "psys", 0);
        zone(folder.path(), "intel-rapl-mmio:0", "package-0", 1_000_000);
        // The class's folder also links every part directly.
        zone(folder.path(), "intel-rapl:0:1", "dram", 0);
        folder
    }

    #[test]
    fn packages_and_memory_are_counted_once_and_wraps_are_followed() {
        let folder = server();
        let mut rapl = Rapl::open(folder.path()).unwrap();
        assert_eq!(rapl.names(), "package-0, package-0 dram, package-1");
        assert_eq!(rapl.joules(), 0.0);
        set(&folder.path().join("intel-rapl:0"), 3_500_000);
        set(&folder.path().join("intel-rapl:0/intel-rapl:0:0"), 9_000_000);
        set(&folder.path().join("intel-rapl:0/intel-rapl:0:1"), 250_000);
        set(&folder.path().join("intel-rapl:1"), 1_500_000);
        set(&folder.path().join("intel-rapl:2"), 99_000_000);
        rapl.sample().unwrap();
        // 2.5 + 0.25 + (0.5 to the end of the range, and 1.5 from there).
        assert!((rapl.joules() - 4.75).abs() < 1e-9, "{}", rapl.joules());
        set(&folder.path().join("intel-rapl:1"), 500_000);
        rapl.sample().unwrap();
        let wrapped = RANGE as f64 / 1e6 - 1.0;
        assert!((rapl.joules() - 4.75 - wrapped).abs() < 1e-6, "{}", rapl.joules());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Rapl::open(folder.path()).unwrap_err(), "this machine shows no RAPL counters");
        assert_eq!(Rapl::open(&folder.path().join("none")).unwrap_err(), "this machine shows no RAPL counters");
        let folder = server();
        fs::write(folder.path().join("intel-rapl:0/energy_uj"), "lots\n").unwrap();
        let said = Rapl::open(folder.path()).unwrap_err();
        assert!(said.ends_with("intel-rapl:0/energy_uj holds `lots`, which is no number of microjoules"), "{said}");
        // As for a user who is not root: the file is there and can't be read. (A test as root can read anything but a folder.)
        fs::remove_file(folder.path().join("intel-rapl:0/energy_uj")).unwrap();
        fs::create_dir(folder.path().join("intel-rapl:0/energy_uj")).unwrap();
        let said = Rapl::open(folder.path()).unwrap_err();
        assert!(
            said.contains("energy_uj can't be read (") && said.ends_with("make it readable, or run as root"),
            "{said}"
        );
    }

    proptest! {
        /// However a counter is read, as long as it is before it wraps twice, the parts add up to what was used.
        #[test]
        fn parts_add_up(start in 0..RANGE, steps in prop::collection::vec(0..RANGE - 1, 1..20)) {
            let (mut at, mut last, mut total) = (u128::from(start), start, 0_u128);
            for step in &steps {
                at += u128::from(*step);
                let now = (at % u128::from(RANGE)) as u64;
                total += u128::from(since(last, now, RANGE));
                last = now;
            }
            prop_assert_eq!(total, at - u128::from(start));
        }
    }
}
