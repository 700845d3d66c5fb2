//! What stands in the built-in catalogue, and what a wrong one is told.

use std::fs;
use std::io::Write;
use std::path::Path;

use panal_hub::{Archive, Catalogue, Format, HubError, Kind, Manifest};

const ARCHITECTURES: [&str; 16] = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
];

fn files(archive: &Archive) -> &Manifest {
    archive.manifest.as_ref().unwrap()
}

#[test]
fn the_links_in_the_crate_lead_to_the_repositorys_catalogue() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (ours, theirs) = (here.join("catalogue"), here.join("../../data/catalogue"));
    if !theirs.is_dir() {
        // Not by println! or eprintln!, whose words the test runner keeps back.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the published crate has the catalogue's files themselves, and no links"
        );
        return;
    }
    let files = |root: &Path| -> Vec<String> {
        let found = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = found.filter(|f| f.file_type().is_file());
        files.map(|f| f.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(files(&ours), files(&theirs));
    for file in files(&ours) {
        assert!(ours.join(&file).is_symlink(), "{file} is a copy");
        assert_eq!(fs::read(ours.join(&file)).unwrap(), fs::read(theirs.join(&file)).unwrap(), "{file}");
    }
}

#[test]
fn every_architecture_has_one_default_and_every_url_ends_with_its_file_and_digest() {
    let catalogue = Catalogue::builtin().unwrap();
    for arch in ARCHITECTURES {
        let of_arch: Vec<_> = catalogue
            .weights()
            .map(|entry| catalogue.find_weights(&entry.id).unwrap())
            .filter(|(_, pretrained)| pretrained.arch == arch)
            .collect();
        assert_eq!(of_arch.iter().filter(|(_, pretrained)| pretrained.default).count(), 1, "{arch}");
        assert!(of_arch.iter().any(|(entry, _)| entry.id == format!("{arch}-imagenet1k_v1")), "{arch}");
        for (entry, pretrained) in of_arch {
            let digest = entry.sha256.as_ref().unwrap();
            if let Some(url) = &entry.url {
                assert_eq!(url.rsplit('/').next(), Some(entry.file.as_str()));
                assert!(entry.file.ends_with(&format!("-{digest}.pth")), "{}", entry.id);
            }
            // Four bytes a parameter, or two where torchvision stores halves.
            let (about, parameters) = (entry.about_bytes().unwrap() as f64, pretrained.parameters.unwrap() as f64);
            assert!((1.9..4.2).contains(&(about / parameters)), "{}", entry.id);
        }
    }
    assert_eq!(catalogue.weights().count(), 24);
}

#[test]
fn every_entry_says_its_licence_and_whom_to_cite() {
    for entry in Catalogue::builtin().unwrap().entries() {
        assert!(
            entry.licence.len() > 40 && entry.citation.len() > 40 && entry.homepage.starts_with("https://"),
            "{}",
            entry.id
        );
    }
}

#[test]
fn the_ants_and_bees_are_counted() {
    let catalogue = Catalogue::builtin().unwrap();
    let (_, archive) = catalogue.find_dataset("hymenoptera_data").unwrap();
    let under = |folder: &str| files(archive).iter().filter(|(path, _)| path.starts_with(folder)).count();
    let counts = ["train/ants/", "train/bees/", "val/ants/", "val/bees/"].map(under);
    // 123 photographs of ants to train on, and the gif that is none.
    assert_eq!(counts, [124, 121, 70, 83]);
    assert!(files(archive).get("train/ants/imageNotFound.gif").is_some());
}

#[test]
fn omniglots_sets_are_counted_and_two_share_alphabets() {
    let catalogue = Catalogue::builtin().unwrap();
    let archive = |id: &str| files(catalogue.find_dataset(id).unwrap().1);
    let (first, second) = (archive("omniglot-background-small1"), archive("omniglot-background-small2"));
    assert_eq!((first.len(), second.len()), (136 * 20, 156 * 20));
    let shared: Vec<&str> = first.iter().map(|(path, _)| path).filter(|path| second.get(path).is_some()).collect();
    assert!(shared.iter().all(|path| path.starts_with("Greek/") || path.starts_with("Latin/")));
    assert_eq!(shared.len(), (24 + 26) * 20);
    assert!(shared.iter().all(|path| first.get(path) == second.get(path)), "byte for byte");
    let oneshot = catalogue.find_dataset("omniglot-oneshot").unwrap().1;
    assert_eq!((files(oneshot).len(), oneshot.root.as_str(), oneshot.in_root), (20 * 41, "omniglot-oneshot", false));
}

#[test]
fn an_archive_known_as_a_whole_has_a_published_digest_and_no_manifest() {
    let catalogue = Catalogue::builtin().unwrap();
    let whole: Vec<_> = catalogue.datasets().filter(|e| e.sha256.is_some() || e.md5.is_some()).collect();
    assert!(whole.iter().any(|e| e.id == "omniglot-background") && whole.iter().any(|e| e.id == "omniglot-evaluation"));
    for entry in whole {
        assert!(catalogue.find_dataset(&entry.id).unwrap().1.manifest.is_none(), "{}", entry.id);
    }
}

#[test]
fn cifar10_is_told_by_its_archive_and_a_mirrors_edition_can_take_its_place() {
    let catalogue = Catalogue::builtin().unwrap();
    let (original, archive) = catalogue.find_dataset("cifar10").unwrap();
    assert_eq!((archive.format, archive.root.as_str(), archive.in_root), (Format::TarGz, "cifar-10-batches-bin", true));
    assert!(archive.manifest.is_none() && original.sha256.as_ref().unwrap().len() == 64 && original.url.is_some());
    let (jpeg, archive) = catalogue.find_dataset(original.instead.as_ref().unwrap()).unwrap();
    assert_eq!((archive.format, jpeg.url.as_deref(), jpeg.instead.as_deref()), (Format::Zip, None, None));
}

#[test]
fn a_slip_is_answered_with_the_nearest_name() {
    let catalogue = Catalogue::builtin().unwrap();
    for (name, suggestion) in [
        ("hymenoptera-data", Some("hymenoptera_data")),
        ("hymenoptera", Some("hymenoptera_data")),
        ("resnet81-imagenet1k_v1", Some("resnet18-imagenet1k_v1")),
        ("resnet50", Some("resnet50-imagenet1k_v1")),
        ("something else", None),
    ] {
        match catalogue.find(name) {
            Err(HubError::Unknown { suggestion: got, .. }) => assert_eq!(got.as_deref(), suggestion, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let error = catalogue.find_dataset("hymenoptera").unwrap_err().to_string();
    assert_eq!(error, "the catalogue has no data set named `hymenoptera` (did you mean `hymenoptera_data`?)");
    let error = catalogue.find_weights("hymenoptera_data").unwrap_err().to_string();
    assert_eq!(error, "`hymenoptera_data` is a data set in the catalogue, not weights");
}

const GOOD: &str = r#"
[licences]
free = "Do what you like."
[citations]
us = "Us."
[[weights]]
id = "net-v1"
arch = "net"
title = "Net"
file = "net.pth"
url = "https://example.org/net.pth"
sha256_prefix = "0123abcd"
homepage = "https://example.org"
licence = "free"
citation = "us"
"#;

#[test]
fn a_wrong_catalogue_is_told_the_entry_and_the_field() {
    assert_eq!(Catalogue::parse("c.toml", GOOD, &[]).unwrap().find("net-v1").unwrap().kind(), Kind::Weights);
    for (from, to, told) in [
        ("0123abcd", "0123abc", "`net-v1`: sha256_prefix must be 8 lower-case hexadecimal digits"),
        ("0123abcd", "0123ABCD", "`net-v1`: sha256_prefix must be 8"),
        ("sha256_prefix", "sha256", "`net-v1`: sha256 must be 64"),
        ("sha256_prefix = \"0123abcd\"", "", "`net-v1`: sha256 or `sha256_prefix` is needed"),
        ("https://example.org/net.pth", "net.pth", "`net-v1`: url must start with https://"),
        ("\"net.pth\"", "\"../net.pth\"", "`net-v1`: file must be of letters"),
        ("\"net-v1\"", "\"../../net\"", "id must be of letters"),
        ("\"free\"\n", "\"fre\"\n", "`net-v1`: licence `fre` is not under [licences]"),
        ("= \"us\"", "= \"them\"", "`net-v1`: citation `them` is not under [citations]"),
        ("arch = \"net\"", "", "`net-v1`: arch is needed"),
        ("arch = \"net\"", "arhc = \"net\"", "unknown field `arhc`"),
        ("homepage", "bytes = 0\nhomepage", "`net-v1`: bytes must be > 0"),
        ("[[weights]]", "[[dataset]]", "`net-v1`: archive is needed in a data set"),
    ] {
        let text = GOOD.replace(from, to);
        let error = Catalogue::parse("c.toml", &text, &[]).unwrap_err().to_string();
        assert!(error.starts_with("c.toml: ") && error.contains(told), "{to}: {error}");
    }
    let (_, entry) = GOOD.split_once("[[weights]]").unwrap();
    let error = Catalogue::parse("c.toml", &format!("{GOOD}[[weights]]{entry}"), &[]).unwrap_err().to_string();
    assert_eq!(error, "c.toml: the id `net-v1` stands here twice");
}

#[test]
fn an_archive_needs_its_manifest_and_room_for_it() {
    let text = GOOD
        .replace("[[weights]]", "[[dataset]]")
        .replace(
            "arch = \"net\"",
            "archive = { root = \"toy\", manifest = \"toy.sha256\", max_bytes = 9, max_entries = 1 }",
        )
        .replace("sha256_prefix = \"0123abcd\"", "")
        .replace("net.pth", "net.zip");
    let line = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  ";
    let told = |manifests: &[(&str, &str)]| Catalogue::parse("c.toml", &text, manifests).map_err(|e| e.to_string());
    assert_eq!(told(&[]).unwrap_err(), "c.toml: `net-v1`: archive.manifest `toy.sha256` is not there");
    let two = format!("{line}a\n{line}b\n");
    let error = told(&[("toy.sha256", &two)]).unwrap_err();
    assert_eq!(error, "c.toml: `net-v1`: archive.max_entries must be at least the manifest's 2 files, got 1");
    assert_eq!(
        told(&[("toy.sha256", "x")]).unwrap_err(),
        "toy.sha256, line 1: expected a digest, two spaces and a path"
    );
    assert!(told(&[("toy.sha256", &format!("{line}a\n"))]).is_ok());

    // An archive must be of a kind that can be unpacked, and what takes its place must be there.
    let without = text.replace("manifest = \"toy.sha256\", ", "");
    let digest = format!("sha256 = \"{}\"\n", &line[..64]);
    for (more, told) in [
        (format!("{digest}instead = \"net-v2\"\n"), Some("`net-v1`: instead `net-v2` is no other entry")),
        (format!("{digest}instead = \"net-v1\"\n"), Some("`net-v1`: instead `net-v1` is no other entry")),
        (digest.clone(), None),
    ] {
        let text = without.replace("[[dataset]]\n", &format!("[[dataset]]\n{more}"));
        let error = Catalogue::parse("c.toml", &text, &[]).err().map(|error| error.to_string());
        match (told, &error) {
            (Some(told), Some(error)) => assert!(error.contains(told), "{error}"),
            (told, error) => assert_eq!((told, error), (None, &None), "{text}"),
        }
    }
    let other = without.replace("[[dataset]]\n", &format!("[[dataset]]\n{digest}")).replace("net.zip", "net.rar");
    let error = Catalogue::parse("c.toml", &other, &[]).unwrap_err().to_string();
    assert!(error.contains("file must end in .zip or .tar.gz, got `net.rar`"), "{error}");
}

#[test]
fn an_archive_is_known_by_its_manifest_or_as_a_whole() {
    let (sha256, md5) = ("0".repeat(64), "0".repeat(32));
    let line = format!("{sha256}  a\n");
    let told = |digests: &str, manifest: &str| {
        let archive = format!("archive = {{ root = \"toy\", {manifest} max_bytes = 9, max_entries = 1 }}");
        let text = GOOD.replace("[[weights]]", "[[dataset]]").replace("arch = \"net\"", &archive);
        let text = text.replace("sha256_prefix = \"0123abcd\"", digests).replace("net.pth", "net.zip");
        Catalogue::parse("c.toml", &text, &[("toy.sha256", &line)]).map(|_| ()).map_err(|e| e.to_string())
    };
    let (sha256, md5) = (format!("sha256 = \"{sha256}\""), format!("md5 = \"{md5}\""));
    let listed = "manifest = \"toy.sha256\",";
    for (digests, manifest) in [("", listed), (sha256.as_str(), ""), (md5.as_str(), "")] {
        assert_eq!(told(digests, manifest), Ok(()), "{digests} {manifest}");
    }
    for (digests, manifest, reason) in [
        (String::new(), "", "archive.manifest or the archive's published `sha256` or `md5` is needed"),
        (format!("{sha256}\n{md5}"), "", "archive.manifest is not there, and `sha256` and `md5` can't both"),
        (md5.clone(), listed, "archive.manifest can't be given beside"),
        (sha256.clone(), listed, "archive.manifest can't be given beside"),
        ("sha256_prefix = \"0123abcd\"".into(), "", "archive.manifest or a whole `sha256` is needed"),
        ("md5 = \"0123\"".into(), "", "md5 must be 32 lower-case hexadecimal digits, got `0123`"),
    ] {
        let error = told(&digests, manifest).unwrap_err();
        assert!(error.starts_with(&format!("c.toml: `net-v1`: {reason}")), "{error}");
    }
    let error =
        Catalogue::parse("c.toml", &GOOD.replace("arch =", &format!("{md5}\narch =")), &[]).unwrap_err().to_string();
    assert!(error.contains("`net-v1`: md5 serves data sets only"), "{error}");
}
