//! The meter from start to stop, on a folder that looks like the kernel's.

// The lint lets test functions unwrap, not the helpers beside them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use panal_energy::{Energy, EnergyError, Gpu, Meter, MeterSpec, Method, Part};

fn package(folder: &Path, energy: u64) {
    let zone = folder.join("intel-rapl:0");
    fs::create_dir_all(&zone).unwrap();
    fs::write(zone.join("name"), "package-0\n").unwrap();
    fs::write(zone.join("max_energy_range_uj"), "1000000\n").unwrap();
    fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
}

fn spec(folder: &Path) -> MeterSpec {
    MeterSpec { powercap: folder.to_owned(), ..MeterSpec::default() }
}

#[test]
fn a_counter_that_wraps_more_than_once_is_followed_while_the_work_runs() {
    let folder = tempfile::tempdir().unwrap();
    package(folder.path(), 900_000);
    let meter = Meter::start(&spec(folder.path())).unwrap();
    // Read once a second: twice around the range of 1 J is seen only by who looks in between.
    package(folder.path(), 500_000);
    std::thread::sleep(Duration::from_millis(1500));
    package(folder.path(), 200_000);
    let energy = meter.stop();
    assert!((energy.joules() - 1.3).abs() < 1e-9, "{energy:?}");
    assert_eq!(energy.method(), Method::Measured);
    assert_eq!(energy.parts[0].how, "RAPL (package-0), all that ran there");
}

#[test]
fn without_counters_the_energy_is_estimated_and_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let spec = MeterSpec { core_watts: Some(20.0), gpu: Gpu::Other, ..spec(folder.path()) };
    let meter = Meter::start(&spec).unwrap();
    let mut sum = 0.0_f64;
    for i in 0..30_000_000 {
        sum += std::hint::black_box(f64::from(i)).sqrt();
    }
    let energy = meter.stop();
    assert!(sum > 0.0);
    assert_eq!(energy.method(), Method::Estimated);
    assert_eq!(energy.method().to_string(), "estimated");
    let [processor, gpu] = &energy.parts[..] else { panic!("{energy:?}") };
    assert!(processor.joules > 0.0 && processor.joules < 20.0 * 600.0, "{processor:?}");
    assert!(processor.how.starts_with("20 W a core × "), "{}", processor.how);
    assert!(processor.how.ends_with("; this machine shows no RAPL counters"), "{}", processor.how);
    assert!(gpu.joules > 0.0 && gpu.how.starts_with("200 W × wall time; "), "{gpu:?}");
}

#[test]
fn a_counter_that_goes_away_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    package(folder.path(), 0);
    let meter = Meter::start(&spec(folder.path())).unwrap();
    fs::remove_dir_all(folder.path().join("intel-rapl:0")).unwrap();
    let energy = meter.stop();
    assert_eq!(energy.method(), Method::Estimated);
    assert!(energy.parts[0].how.contains("energy_uj can't be read"), "{}", energy.parts[0].how);
}

#[test]
fn stretches_add_up_device_by_device() {
    let part = |what: &str, joules: f64, measured: bool| Part {
        what: what.to_owned(),
        joules,
        measured,
        how: if measured { "counted" } else { "guessed" }.to_owned(),
    };
    let mut energy = Energy::default();
    energy.add(Energy { parts: vec![part("processor", 2.0, true)] });
    energy.add(Energy { parts: vec![part("processor", 3.0, false), part("GPU", 10.0, true)] });
    energy.add(Energy { parts: vec![part("processor", 4.0, true)] });
    assert_eq!(energy.parts, [part("processor", 9.0, false), part("GPU", 10.0, true)]);
    assert_eq!((energy.joules(), energy.method()), (19.0, Method::Partly));
}

#[test]
fn a_core_of_no_watts_is_refused() {
    for watts in [0.0, -3.0, f64::NAN, 1001.0] {
        let refused = Meter::start(&MeterSpec { core_watts: Some(watts), ..MeterSpec::default() });
        let Err(EnergyError::Field { field, .. }) = refused else { panic!("{watts} was taken") };
        assert_eq!(field, "watts of a core");
    }
}
