//! The page of a lab in a real browser: every figure is drawn, nothing is fetched, images show when they are pointed at.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};

use browser::{Browser, Scheme, Shown};
use common::{panal, run};

/// The browser, or a loud word that there is none.
fn browser() -> Option<Browser> {
    let Some(program) = browser::find() else {
        // Not by println! or eprintln!, whose words the test runner keeps back.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Chromium on the PATH; install one, or name it in CHROME");
        return None;
    };
    Some(Browser::start(&program).unwrap())
}

/// The built-in lab with two of its rows and two seeds, as quick as it can be.
fn lab(folder: &Path) -> PathBuf {
    let said = run(panal(&["lab", "--data", "insects", "--seeds", "2", "--row", "2", "--row", "3", "--results"])
        .arg(folder)
        .args(["--set", "row.1.phases.0.epochs=1", "--set", "row.2.phases.0.epochs=2"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    folder.join("insects-resnet10_w24/index.html")
}

/// Figures that are smaller than a thumb or have nothing in them, and pictures without pixels, by their names.
const EMPTY: &str = "[
  ...[...document.querySelectorAll('main figure svg')].filter((svg) => {
    const box = svg.getBoundingClientRect();
    const marks = [...svg.querySelectorAll('circle, rect, line, polyline, polygon, path, text')];
    return box.width < 80 || box.height < 80 || marks.filter((mark) => mark.getBoundingClientRect().width > 0).length < 5;
  }).map((svg) => svg.getAttribute('aria-label')),
  ...[...document.images].filter((image) => image.naturalWidth < 16 || image.getBoundingClientRect().height < 16).map((image) => image.alt),
]";

#[test]
fn every_figure_is_drawn_and_nothing_is_fetched() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = lab(folder.path());
    let mut grounds = Vec::new();
    for (width, scheme) in [(390, Scheme::Light), (390, Scheme::Dark), (1280, Scheme::Light), (1280, Scheme::Dark)] {
        let mut page = browser.page(width, 844, scheme).unwrap();
        page.open(&file).unwrap();
        let count = |page: &mut browser::Page<'_>, selector: &str| {
            page.eval(&format!("document.querySelectorAll('{selector}').length")).unwrap().as_u64().unwrap()
        };
        // For two rows: matrix, two curves and reliability each, one figure of F1, features in two planes each.
        for (selector, least) in [
            ("#confusion figure svg", 2),
            ("#curves figure svg", 4),
            ("#reliability figure svg", 2),
            ("#scores figure svg", 1),
            ("#features figure svg", 4),
            ("#wrong img", 6),
        ] {
            assert!(count(&mut page, selector) >= least, "{selector}");
        }
        assert_eq!(page.eval(EMPTY).unwrap(), serde_json::json!([]), "not drawn at {width} pixels, {scheme:?}");
        let overflow =
            page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth").unwrap();
        assert_eq!(overflow, 0, "wider than a screen of {width} pixels");
        let own = format!("file://{}", std::fs::canonicalize(&file).unwrap().display());
        assert_eq!(page.requests(), [own], "something was fetched");
        assert_eq!(page.complaints(), [""; 0]);
        grounds.push(page.eval("getComputedStyle(document.body).backgroundColor").unwrap());
    }
    assert!(grounds[0] == grounds[2] && grounds[1] == grounds[3] && grounds[0] != grounds[1], "{grounds:?}");
}

#[test]
fn a_point_shows_its_image_to_mouse_and_keyboard() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = lab(folder.path());
    let mut page = browser.page(1280, 900, Scheme::Light).unwrap();
    page.open(&file).unwrap();
    // Cards that are shown, as `[width of the picture, its name]`.
    let shown = "[...document.querySelectorAll('g.point > use')].filter((card) => getComputedStyle(card).display !== 'none')\
                 .map((card) => [card.getBoundingClientRect().width > 60, card.parentNode.getAttribute('aria-label')])";
    assert_eq!(page.eval(shown).unwrap(), serde_json::json!([]));
    let name = |page: &mut browser::Page<'_>, selector: &str| {
        page.eval(&format!("document.querySelector('{selector}').getAttribute('aria-label')")).unwrap()
    };
    // The last is on top, so nothing lies between it and the mouse.
    let last = "#features g.point:last-child";
    page.point_at(last).unwrap();
    let pointed = name(&mut page, last);
    assert_eq!(page.eval(shown).unwrap(), serde_json::json!([[true, pointed]]));
    let first = "#features g.point[tabindex=\"0\"]";
    page.eval(&format!("document.querySelector('{first}').focus()")).unwrap();
    page.point_at("h1").unwrap();
    let focused = name(&mut page, first);
    assert_eq!(page.eval(shown).unwrap(), serde_json::json!([[true, focused]]));
    page.press("ArrowRight").unwrap();
    let next = name(&mut page, &format!("{first} + g.point"));
    assert_eq!(page.eval(shown).unwrap(), serde_json::json!([[true, next]]));
}

#[test]
fn the_words_of_a_card_can_be_read_in_dark_and_light() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = lab(folder.path());
    for scheme in [Scheme::Light, Scheme::Dark] {
        let mut page = browser.page(1280, 900, scheme).unwrap();
        page.open(&file).unwrap();
        page.point_at("#features g.point:last-child").unwrap();
        let card = page.place("#features g.point:hover > use").unwrap();
        // Right of the picture: the ground, and words on it.
        let words = Shown { x: card.x + 74.0, width: card.width - 74.0, ..card };
        let shot = page.webp(words, 95).unwrap();
        let shot = image::load_from_memory_with_format(&shot, image::ImageFormat::WebP).unwrap().to_luma8();
        let (least, most) =
            (shot.pixels().map(|p| p.0[0]).min().unwrap(), shot.pixels().map(|p| p.0[0]).max().unwrap());
        assert!(most - least > 150, "{scheme:?}: from {least} to {most}");
    }
}

/// The watch itself: a page that does fetch, and has nothing to show, is caught.
#[test]
fn a_page_that_fetches_is_seen_to_do_so() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let html = "<main><figure><svg width=\"9\" height=\"9\" aria-label=\"tiny\"></svg></figure></main>\
                <script>fetch('http://elsewhere.test/a').catch(() => 0)</script><link rel=\"stylesheet\" href=\"http://127.0.0.1:9/b.css\">";
    std::fs::write(&file, html).unwrap();
    let mut page = browser.page(390, 844, Scheme::Light).unwrap();
    page.open(&file).unwrap();
    let mut requests = page.requests();
    requests.sort();
    assert_eq!(requests[1..], ["http://127.0.0.1:9/b.css", "http://elsewhere.test/a"]);
    assert_eq!(page.eval(EMPTY).unwrap(), serde_json::json!(["tiny"]));
}
