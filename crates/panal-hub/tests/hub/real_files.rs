//! The real files, where a mirror folder has them: `PANAL_MIRROR`, else the folder beside the repository.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use panal_hub::{Catalogue, Hub, Mirror, Quiet, Source};

/// The file in the mirror folder; a loud line and nothing where there is none.
fn mirror_with(file: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mirror");
    let mirror = env::var_os("PANAL_MIRROR").map_or(beside, PathBuf::from);
    let found = mirror.join(file).is_file();
    if !found {
        // Not by println! or eprintln!, whose words the test runner keeps back.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no {file} in the mirror folder {}; set PANAL_MIRROR to one",
            mirror.display()
        );
    }
    found.then_some(mirror)
}

#[test]
fn the_ants_and_bees_are_unpacked_and_verified() {
    let Some(mirror) = mirror_with("hymenoptera_data.zip") else { return };
    let cache = tempfile::tempdir().unwrap();
    let hub =
        Hub::builder(Catalogue::builtin().unwrap(), cache.path()).mirror(Mirror::Folder(mirror)).offline(true).build();
    let fetched = hub.dataset("hymenoptera_data", &Quiet).unwrap();
    assert_eq!((fetched.bytes, fetched.left_out), (47_385_924, vec![]));
    assert!(fetched.path.join("train/ants/0013035.jpg").is_file());
    let verified = hub.verify("hymenoptera_data", &Quiet).unwrap();
    assert_eq!((verified.files, verified.bytes, verified.faults), (398, 47_385_924, vec![]));
    assert_eq!(hub.dataset("hymenoptera_data", &Quiet).unwrap().source, Source::Cache);
}

#[test]
fn the_mirrors_mobilenet_is_what_the_catalogue_says() {
    let Some(mirror) = mirror_with("mobilenet_v2-imagenet1k.safetensors") else { return };
    let cache = tempfile::tempdir().unwrap();
    let hub =
        Hub::builder(Catalogue::builtin().unwrap(), cache.path()).mirror(Mirror::Folder(mirror)).offline(true).build();
    assert_eq!(hub.weights_for("mobilenet_v2").unwrap()[0].id, "mobilenet_v2-imagenet1k");
    let fetched = hub.weights("mobilenet_v2-imagenet1k", &Quiet).unwrap();
    assert_eq!(fetched.bytes, 14_186_312);
    assert_eq!(hub.verify("mobilenet_v2-imagenet1k", &Quiet).unwrap().faults, Vec::<String>::new());
}

#[test]
fn omniglots_small_sets_and_runs_are_unpacked_and_verified() {
    for (id, file, some, files, bytes) in [
        ("omniglot-background-small1", "images_background_small1.zip", "Korean/character40/0682_20.png", 2720, 656_309),
        (
            "omniglot-background-small2",
            "images_background_small2.zip",
            "Tagalog/character17/0909_20.png",
            3120,
            798_023,
        ),
        ("omniglot-oneshot", "all_runs.zip", "run20/class_labels.txt", 820, 223_271),
    ] {
        let Some(mirror) = mirror_with(file) else { return };
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::builder(Catalogue::builtin().unwrap(), cache.path())
            .mirror(Mirror::Folder(mirror))
            .offline(true)
            .build();
        let fetched = hub.dataset(id, &Quiet).unwrap();
        assert_eq!((fetched.bytes, fetched.left_out), (bytes, vec![]), "{id}");
        assert!(fetched.path.join(some).is_file(), "{id}");
        let verified = hub.verify(id, &Quiet).unwrap();
        assert_eq!((verified.files, verified.bytes, verified.faults), (files, bytes, vec![]), "{id}");
        assert_eq!(hub.dataset(id, &Quiet).unwrap().source, Source::Cache);
    }
}

#[test]
fn the_mirrors_cifar10_is_unpacked_and_verified() {
    let Some(mirror) = mirror_with("cifar10-images.zip") else { return };
    let cache = tempfile::tempdir().unwrap();
    let hub =
        Hub::builder(Catalogue::builtin().unwrap(), cache.path()).mirror(Mirror::Folder(mirror)).offline(true).build();
    let fetched = hub.dataset("cifar10-jpeg", &Quiet).unwrap();
    assert_eq!((fetched.bytes, fetched.left_out), (55_250_913, vec![]));
    assert!(
        fetched.path.join("train/truck/4999.jpg").is_file() && fetched.path.join("test/airplane/0000.jpg").is_file()
    );
    let verified = hub.verify("cifar10-jpeg", &Quiet).unwrap();
    assert_eq!((verified.files, verified.bytes, verified.faults), (60_000, 55_250_913, vec![]));
    assert_eq!(hub.dataset("cifar10-jpeg", &Quiet).unwrap().source, Source::Cache);
}
