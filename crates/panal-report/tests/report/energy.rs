//! Energy and CO2: in the table of times, in the story, in the files for programs, and absent where records are older.

use std::fs;

use panal_report::{EnergyMethod, EnergyPart, EnergyRecord, RunRecord, Table, write_results};

use crate::common::run;

fn with_energy(mut run: RunRecord, joules: f64, method: EnergyMethod) -> RunRecord {
    let part = EnergyPart {
        what: "processor".to_owned(),
        joules,
        measured: method == EnergyMethod::Measured,
        how: "12 W a core × CPU time".to_owned(),
    };
    run.energy = Some(EnergyRecord {
        joules,
        method,
        parts: vec![part],
        grams_co2: joules / 3.6e6 * 481.0,
        grid_grams_per_kwh: 481.0,
        grid_source: "the world".to_owned(),
    });
    run
}

fn runs() -> [RunRecord; 2] {
    [0, 1].map(|seed| run(0, "row", seed, &["ants", "bees"], &[(0, 0), (1, 0)]))
}

fn written(records: &[RunRecord], file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), records).unwrap();
    fs::read_to_string(folder.path().join(file)).unwrap()
}

#[test]
fn a_row_has_the_mean_of_its_seeds_and_says_how_it_is_known() {
    let [first, second] = runs();
    let records =
        [with_energy(first, 3600.0, EnergyMethod::Estimated), with_energy(second, 7200.0, EnergyMethod::Estimated)];
    let energy = Table::new(&records).unwrap().rows[0].energy.clone().unwrap();
    assert_eq!((energy.watt_hours.mean, energy.method), (1.5, EnergyMethod::Estimated));
    let page = written(&records, "index.html");
    for part in ["<td>1.50 ± 0.707</td>", "<td>0.722 ± 0.340</td>", "<td>estimated</td>"] {
        assert!(page.contains(part), "no {part}");
    }
    assert!(page.contains("<li>energy of all 2 runs: 3.00 Wh, 1.44 g of CO2 (estimated)</li>"));
    assert!(page.contains("<li>processor, estimated: 12 W a core × CPU time</li>"));
    let story = written(&records, "README.md");
    assert!(story.contains("- energy of all 2 runs: 3.00 Wh, 1.44 g of CO2 (estimated)\n"), "{story}");
    assert!(story.contains("- CO2 by the grid's intensity: 481 g/kWh (the world)\n"), "{story}");
    let json: serde_json::Value = serde_json::from_str(&written(&records, "table.json")).unwrap();
    assert_eq!((&json[0]["energy_wh"], &json[0]["energy_method"]), (&1.5.into(), &"estimated".into()));
}

#[test]
fn seeds_known_in_different_ways_are_said_to_be_so() {
    let [first, second] = runs();
    let records = [with_energy(first, 1.0, EnergyMethod::Measured), with_energy(second, 1.0, EnergyMethod::Estimated)];
    assert_eq!(Table::new(&records).unwrap().rows[0].energy.as_ref().unwrap().method, EnergyMethod::Partly);
}

#[test]
fn older_records_have_none_and_are_read() {
    let [first, second] = runs();
    let mut line = serde_json::to_value(&first).unwrap();
    line.as_object_mut().unwrap().remove("energy").unwrap();
    let older: RunRecord = serde_json::from_value(line).unwrap();
    assert_eq!(older, first);
    let records = [older, with_energy(second, 1.0, EnergyMethod::Measured)];
    assert_eq!(Table::new(&records).unwrap().rows[0].energy, None);
    assert!(!written(&records, "README.md").contains("energy"));
    let kept: EnergyRecord =
        serde_json::from_value(serde_json::to_value(records[1].energy.clone().unwrap()).unwrap()).unwrap();
    assert_eq!(Some(kept), records[1].energy);
}
