//! `screenshots`: the pictures of panal's pages in `docs/`, taken with a headless Chromium. What is on a page is decided elsewhere.

use super::{notebook, run, setup};
use crate::libtorch::Libtorch;
use crate::stage::Stages;
use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use browser::{Browser, Scheme, Shown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Take the screenshots in docs/ again, with the Chromium on the PATH or in CHROME.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only this page; may be said several times
    #[arg(long = "page", value_name = "NAME", value_parser = PAGES.iter().map(|page| page.name).collect::<Vec<_>>())]
    pages: Vec<String>,
}

/// A page, how it is made, and what is photographed of it.
struct Page {
    name: &'static str,
    /// Makes it in a folder of its own under `target/`, which may hold what an earlier call made, and says where it is.
    make: fn(&Libtorch, &Path) -> Result<PathBuf>,
    shots: &'static [Shot],
}

/// One picture.
struct Shot {
    /// The file in `docs/`.
    file: &'static str,
    scheme: Scheme,
    /// CSS pixels.
    size: (u32, u32),
    /// The element that it begins at; the top of the page where there is none.
    from: Option<&'static str>,
    /// The element that the mouse is over.
    over: Option<&'static str>,
}

const DESKTOP: (u32, u32) = (1280, 860);
const PHONE: (u32, u32) = (390, 844);
/// The most bytes of a picture, and the qualities that are tried until it has no more.
const MOST: usize = 200 * 1000;
const QUALITIES: [u8; 4] = [88, 75, 60, 45];

/// Every page: another one is another entry here.
const PAGES: &[Page] = &[
    Page {
        name: "lab",
        make: quick_lab,
        shots: &[
            light("lab/page.webp", DESKTOP, None),
            light("lab/page-wrong.webp", DESKTOP, Some("#wrong")),
            Shot {
                file: "lab/page-features-dark.webp",
                scheme: Scheme::Dark,
                size: DESKTOP,
                from: Some("#features"),
                over: Some("#features g.point:last-child"),
            },
            light("lab/page-phone.webp", PHONE, Some("#scores")),
            Shot {
                file: "lab/page-phone-dark.webp",
                scheme: Scheme::Dark,
                size: PHONE,
                from: Some("#wrong"),
                over: None,
            },
        ],
    },
    Page {
        name: "notebook",
        make: |_, folder| notebook::page(folder),
        shots: &[
            light("lab/notebook-augmentations.webp", DESKTOP, Some("[id='cell-id=augmentations']")),
            light("lab/notebook-point-1.webp", DESKTOP, Some("[id='cell-id=point-1']")),
        ],
    },
];

const fn light(file: &'static str, size: (u32, u32), from: Option<&'static str>) -> Shot {
    Shot { file, scheme: Scheme::Light, size, from, over: None }
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let program = browser::find().context("no Chromium on the PATH: install one, or name it in CHROME")?;
    let wanted: Vec<&Page> =
        PAGES.iter().filter(|page| args.pages.is_empty() || args.pages.iter().any(|name| name == page.name)).collect();
    let mut stages = Stages::new(2 + 2 * wanted.len());
    let libtorch = setup::ready(&mut stages, false)?;
    let binary = workspace::panal_binary()?;
    stages.begin("build", &run::build_detail(binary.exists()));
    process::run(libtorch.set_on(workspace::cargo().args(["build", "--release", "--package", "panal"])))?;
    let mut browser = Browser::start(&program)?;
    let work = workspace::metadata()?.target_directory.join("screenshots");
    for page in wanted {
        stages.begin("page", page.name);
        let folder = work.join(page.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = (page.make)(&libtorch, &folder)?;
        stages.begin("pictures", &format!("{} of {}", page.shots.len(), page.name));
        for shot in page.shots {
            let bytes = take(&mut browser, &file, shot).with_context(|| format!("cannot take {}", shot.file))?;
            let place = workspace::root().join("docs").join(shot.file);
            crate::files::write_bytes(&place, &bytes)?;
            stages.note(&format!("{} ({} kB)", place.display(), bytes.len().div_ceil(1000)));
        }
    }
    stages.end();
    Ok(())
}

/// The built-in lab with one seed; what an earlier call trained is used again.
fn quick_lab(libtorch: &Libtorch, folder: &Path) -> Result<PathBuf> {
    let mut lab = Command::new(workspace::panal_binary()?);
    lab.args(["lab", "--quick", "--resume", "--quiet", "--results"]).arg(folder).stdout(std::process::Stdio::null());
    process::run(libtorch.set_on(&mut lab))?;
    Ok(folder.join("insects-resnet10_w24-quick/index.html"))
}

fn take(browser: &mut Browser, file: &Path, shot: &Shot) -> Result<Vec<u8>> {
    let (width, height) = shot.size;
    let mut page = browser.page(width, height, shot.scheme)?;
    page.open(file)?;
    if let Some(over) = shot.over {
        page.point_at(over)?;
    }
    let y = shot.from.map(|from| page.place(from)).transpose()?.map_or(0.0, |place| place.y);
    let part = Shown { x: 0.0, y, width: f64::from(width), height: f64::from(height) };
    let mut bytes = Vec::new();
    for quality in QUALITIES {
        bytes = page.webp(part, quality)?;
        if bytes.len() <= MOST {
            return Ok(bytes);
        }
    }
    ensure!(bytes.len() <= MOST, "{} bytes, at most {MOST} are wanted: photograph less", bytes.len());
    Ok(bytes)
}
