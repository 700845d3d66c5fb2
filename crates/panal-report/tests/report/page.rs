//! The page: whole, well-formed, self-contained, and text of whatever names hold.

use std::collections::BTreeSet;
use std::fs;

use panal_report::{
    Embedding, Evidence, Extras, PointImage, ReportError, RunRecord, Table, Thumbnails, write_results,
    write_results_with,
};
use roxmltree::{Document, Node, ParsingOptions};

use crate::common::{best, epoch, run, with_probabilities};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 any";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n any";

/// Two rows, two seeds, two classes, with probabilities. The second row is wrong about the last two images.
fn records() -> Vec<RunRecord> {
    let truth = [0, 0, 0, 1, 1, 1];
    let mut records = Vec::new();
    for seed in 0..2 {
        let pairs: Vec<(usize, usize)> = truth.iter().map(|&class| (class, class)).collect();
        let mut first = with_probabilities(run(0, "first", seed, &["ants", "bees"], &pairs), |_| 0.9);
        first.epochs = vec![epoch(0, 0, 0.5), epoch(0, 1, 0.9)];
        records.push(first);
        let pairs: Vec<(usize, usize)> =
            truth.iter().enumerate().map(|(i, &class)| (class, if i < 4 { class } else { 0 })).collect();
        let sure = move |image: usize| if image == 5 { 0.75 + 0.125 * seed as f32 } else { 0.625 };
        let mut second = with_probabilities(run(1, "second", seed, &["ants", "bees"], &pairs), sure);
        second.epochs = vec![epoch(0, 0, 0.4), epoch(1, 1, 0.6)];
        second.best = Some(best(1, 0.7));
        records.push(second);
    }
    records
}

fn page(records: &[RunRecord]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), records).unwrap();
    fs::read_to_string(folder.path().join("index.html")).unwrap()
}

fn page_with(records: &[RunRecord], thumbnails: &Thumbnails) -> String {
    page_and(records, &Extras { thumbnails: thumbnails.clone(), ..Extras::default() })
}

fn page_and(records: &[RunRecord], extras: &Extras) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_results_with(folder.path(), Table::new(records).unwrap(), records, extras).unwrap();
    fs::read_to_string(folder.path().join("index.html")).unwrap()
}

/// The page as XML, in which every element is closed where it should be.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

fn all<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name) || node.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// What a reader without a script and a style sees.
fn prose(document: &Document<'_>) -> String {
    let shown = |node: &Node<'_, '_>| {
        node.is_text() && !node.ancestors().any(|above| ["script", "style"].contains(&above.tag_name().name()))
    };
    document.descendants().filter(shown).filter_map(|node| node.text()).collect()
}

fn section<'a>(document: &'a Document<'a>, id: &str) -> Node<'a, 'a> {
    all(document, "section").find(|section| section.attribute("id") == Some(id)).unwrap()
}

fn cells(line: Node<'_, '_>) -> Vec<String> {
    line.children().filter(Node::is_element).map(text_of).collect()
}

fn lines(section: Node<'_, '_>) -> Vec<Vec<String>> {
    section.descendants().filter(|node| node.has_tag_name("tr")).map(cells).collect()
}

#[test]
fn it_says_what_was_run_on_what() {
    let html = page(&records());
    let document = parsed(&html);
    assert_eq!(all(&document, "html").next().unwrap().attribute("lang"), Some("en"));
    assert_eq!(all(&document, "title").next().unwrap().text(), Some("Ants and bees: results"));
    let header = text_of(all(&document, "header").next().unwrap());
    for part in [
        "Ants and bees",
        "Hymenoptera (hymenoptera_data)",
        "real photographs",
        "6 images (validation split)",
        "2 for each row: 0, 1",
        "the last epoch, which nothing selects; the best epoch stands apart",
        "cpu, 2 threads",
        "panal 0.1.0, tch 0.24.0, libtorch 2.11.0, rustc 1.89.0",
        "Best row: first, macro F1 1.000 ± 0.000, accuracy 1.000 ± 0.000 (last epoch, 2 seeds); \
         1 of 1 other rows is not significantly worse",
    ] {
        assert!(header.contains(part), "no {part:?} in {header}");
    }
}

#[test]
fn synthetic_images_are_called_so_at_the_top() {
    let mut records = records();
    for record in &mut records {
        record.data.origin = panal_report::Origin::SyntheticInsects;
    }
    let html = page(&records);
    let document = parsed(&html);
    assert!(
        text_of(all(&document, "header").next().unwrap()).contains("synthetic: insects drawn by panal, no photographs")
    );
}

#[test]
fn every_row_and_class_has_its_scores() {
    let html = page(&records());
    let document = parsed(&html);
    let scores = lines(section(&document, "scores"));
    assert_eq!(scores[1][..4], ["first", "1.000 ± 0.000", "1.000 ± 0.000", "1.000 ± 0.000"]);
    // Ants: 3 of 5 predicted, all found. Bees: 1 of 1 predicted, 1 of 3 found.
    assert_eq!(scores[2][..4], ["second", "0.800 ± 0.000", "0.667 ± 0.000", "0.625 ± 0.000"]);
    assert_eq!(scores[1][6], "best");
    // The best epoch, apart.
    assert_eq!(scores[5][..2], ["second", "0.700 ± 0.000"]);
    let classes = lines(section(&document, "classes"));
    assert_eq!(classes.len(), 1 + 4);
    assert_eq!(classes[4][..3], ["second", "bees", "1.000 ± 0.000"]);
    let time = lines(section(&document, "time"));
    assert_eq!(time[2], ["second", "10.5 ± 0.7", "4.0", "3.0", "0.5", "2.0", "1.0", "244.0", "—", "—", "—", "cpu"]);
}

#[test]
fn a_significantly_worse_row_is_marked() {
    let all_right: Vec<(usize, usize)> = (0..40).map(|i| (i % 2, i % 2)).collect();
    let half_right: Vec<(usize, usize)> = (0..40).map(|i| (i % 2, 0)).collect();
    let records = [run(0, "good", 0, &["a", "b"], &all_right), run(1, "bad", 0, &["a", "b"], &half_right)];
    let html = page(&records);
    let document = parsed(&html);
    assert_eq!(lines(section(&document, "scores"))[2][6], "< 0.001 *");
}

#[test]
fn every_row_has_its_figures_and_each_a_name() {
    let html = page(&records());
    let document = parsed(&html);
    for (id, drawings) in [("scores", 1), ("confusion", 2), ("curves", 4), ("reliability", 2)] {
        let section = section(&document, id);
        let svgs: Vec<Node<'_, '_>> = section.descendants().filter(|node| node.tag_name().name() == "svg").collect();
        assert_eq!(svgs.len(), drawings, "{id}");
        for svg in svgs {
            let title = svg.first_element_child().unwrap();
            assert_eq!((svg.attribute("role"), title.tag_name().name()), (Some("img"), "title"));
            assert_eq!(svg.attribute("aria-label"), title.text());
            let figure = svg.ancestors().find(|node| node.has_tag_name("figure")).unwrap();
            assert!(figure.children().any(|node| node.has_tag_name("figcaption") && !text_of(node).is_empty()));
        }
    }
    let curves = text_of(section(&document, "curves"));
    assert!(curves.contains("Losses of second by epoch") && curves.contains("Scores of first by epoch"), "{curves}");
}

#[test]
fn reliability_has_the_expected_calibration_error_of_each_seed() {
    let html = page(&records());
    let document = parsed(&html);
    let captions = text_of(section(&document, "reliability"));
    // First: always right, 0.9 sure. Second: five images 0.625 sure, four right; one 0.75 or 0.875 sure, wrong.
    assert!(captions.contains("first: ECE 0.100 ± 0.000"), "{captions}");
    let errors: [f64; 2] = [0.75, 0.875].map(|sure| 5.0 / 6.0 * (0.8 - 0.625) + sure / 6.0);
    let (mean, half) = ((errors[0] + errors[1]) / 2.0, (errors[1] - errors[0]) / 2.0);
    let expected = format!("second: ECE {mean:.3} ± {:.3}", half * 2_f64.sqrt());
    assert!(captions.contains(&expected), "{expected}\n{captions}");
}

#[test]
fn the_surest_mistakes_come_first_with_class_and_probability() {
    let table = Table::new(&records()).unwrap();
    assert_eq!(table.rows[0].mistakes, []);
    let said: Vec<(&str, f64, usize)> = table.rows[1]
        .mistakes
        .iter()
        .map(|mistake| (mistake.id.as_str(), mistake.probability, mistake.seeds))
        .collect();
    assert_eq!(said, [("val/bees/5.jpg", 0.875, 2), ("val/bees/4.jpg", 0.625, 2)]);

    let html = page(&records());
    let document = parsed(&html);
    let wrong = section(&document, "wrong");
    assert!(text_of(wrong).contains("No image was wrong."));
    let items: Vec<String> = wrong.descendants().filter(|node| node.has_tag_name("li")).map(text_of).collect();
    assert_eq!(items[0], "truly bees said to be ants 87.5 %val/bees/5.jpgwrong with 2 of 2 seeds");
}

#[test]
fn the_same_image_counts_once_however_many_seeds_were_wrong() {
    let wrong: Vec<(usize, usize)> = (0..20).map(|_| (0, 1)).chain([(1, 1)]).collect();
    let runs: Vec<RunRecord> = (0..3)
        .map(|seed| with_probabilities(run(0, "r", seed, &["a", "b"], &wrong), |i| 0.5 + 0.02 * i as f32))
        .collect();
    let table = Table::new(&runs).unwrap();
    let ids: BTreeSet<&str> = table.rows[0].mistakes.iter().map(|mistake| mistake.id.as_str()).collect();
    assert_eq!((ids.len(), table.rows[0].mistakes.len(), table.rows[0].mistakes[0].seeds), (8, 8, 3));
    assert_eq!(table.rows[0].mistakes[0].id, "val/a/19.jpg");
}

#[test]
fn thumbnails_stand_beside_their_image() {
    let mut thumbnails = Thumbnails::new();
    thumbnails.insert("val/bees/5.jpg", JPEG.to_vec()).unwrap();
    thumbnails.insert("val/bees/4.jpg", PNG.to_vec()).unwrap();
    thumbnails.insert("val/ants/0.jpg", PNG.to_vec()).unwrap();
    let html = page_with(&records(), &thumbnails);
    let document = parsed(&html);
    let images: Vec<(Option<&str>, Option<&str>)> =
        all(&document, "img").map(|image| (image.attribute("src"), image.attribute("alt"))).collect();
    assert_eq!(
        images,
        [
            (Some("data:image/jpeg;base64,/9j/4CBhbnk="), Some("val/bees/5.jpg: truly bees")),
            (Some("data:image/png;base64,iVBORw0KGgogYW55"), Some("val/bees/4.jpg: truly bees")),
        ]
    );
    assert!(!page(&records()).contains("<img"));
}

#[test]
fn a_thumbnail_that_is_no_small_picture_is_refused() {
    let mut thumbnails = Thumbnails::new();
    let mut large = JPEG.to_vec();
    large.resize(256 * 1024 + 1, 0);
    for (bytes, said) in [
        (Vec::new(), "thumbnail of `a`: 0 bytes; hand in a JPEG or PNG file of 1 to 262144 bytes"),
        (large, "thumbnail of `a`: 262145 bytes; "),
        (b"<svg onload='x'/>".to_vec(), "thumbnail of `a`: begins like neither a JPEG nor a PNG file; "),
    ] {
        let error = thumbnails.insert("a", bytes).unwrap_err();
        assert!(matches!(&error, ReportError::Thumbnail { id, .. } if id == "a"));
        assert!(error.to_string().starts_with(said), "{error}");
    }
    assert_eq!(thumbnails, Thumbnails::new());
}

/// No element and no attribute of the page asks for anything that does not stand in it.
fn fetches_nothing(document: &Document<'_>) {
    for node in document.descendants() {
        let tag = node.tag_name().name();
        assert!(!["link", "iframe", "object", "embed", "base"].contains(&tag), "{tag}");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name}");
            match (tag, name) {
                (_, "src") | ("image", "href") => assert!(value.starts_with("data:image/"), "{value}"),
                ("use", "href") => assert!(value.starts_with('#'), "{value}"),
                (_, "href") => assert!(!value.contains("//") && !value.contains(':'), "{value}"),
                _ => {}
            }
        }
    }
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let mut thumbnails = Thumbnails::new();
    thumbnails.insert("val/bees/5.jpg", JPEG.to_vec()).unwrap();
    let html = page_with(&records(), &thumbnails);
    let document = parsed(&html);
    let policy = all(&document, "meta").find(|meta| meta.attribute("http-equiv") == Some("Content-Security-Policy"));
    assert_eq!(
        policy.unwrap().attribute("content"),
        Some("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    );
    fetches_nothing(&document);
    let style = all(&document, "style").next().unwrap().text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn its_structure_is_what_a_screen_reader_needs() {
    let html = page(&records());
    let document = parsed(&html);
    let headings: Vec<u32> =
        document.descendants().filter_map(|node| node.tag_name().name().strip_prefix('h')?.parse().ok()).collect();
    assert_eq!(headings.iter().filter(|&&level| level == 1).count(), 1);
    assert_eq!(headings[0], 1);
    assert!(headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{headings:?}");
    for table in all(&document, "table") {
        assert!(table.first_element_child().unwrap().has_tag_name("caption"));
        assert_eq!(table.parent().unwrap().attribute("class"), Some("scroll"));
        for head in table.descendants().filter(|node| node.has_tag_name("th")) {
            let in_head = head.ancestors().any(|node| node.has_tag_name("thead"));
            assert_eq!(head.attribute("scope"), Some(if in_head { "col" } else { "row" }));
        }
    }
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for link in all(&document, "a").filter_map(|link| link.attribute("href")?.strip_prefix('#')) {
        assert!(ids.contains(&link), "{link}");
    }
    let viewport = all(&document, "meta").find(|meta| meta.attribute("name") == Some("viewport")).unwrap();
    assert_eq!(viewport.attribute("content"), Some("width=device-width, initial-scale=1"));
    // Void elements aside, HTML knows no element that closes itself: a browser would leave it open.
    for node in document.descendants().filter(|node| node.is_element() && !node.has_children()) {
        let name = node.tag_name().name();
        let in_svg = node.ancestors().any(|above| above.tag_name().name() == "svg");
        let source = &html[node.range()];
        assert!(in_svg || ["meta", "img"].contains(&name) || !source.ends_with("/>"), "{source}");
    }
}

#[test]
fn drawings_have_no_colour_that_dark_and_light_do_not_know() {
    let classes: Vec<String> = (0..5).map(|class| class.to_string()).collect();
    let features: Vec<Vec<f32>> = (0..5).map(|i| vec![i as f32, (i * i) as f32]).collect();
    let embedding = Embedding::pca("all colours", &classes, &[0, 1, 2, 3, 4], &features).unwrap();
    let image = |i: usize| PointImage { id: i.to_string(), predicted: Some(0) };
    let pointed_at = embedding.clone().with_images((0..5).map(image).collect()).unwrap();
    let html = page_and(&records(), &Extras { embeddings: vec![embedding, pointed_at], ..Extras::default() });
    let document = parsed(&html);
    let style = all(&document, "style").next().unwrap().text().unwrap();
    for node in document.descendants() {
        for name in ["fill", "stroke"] {
            let Some(color) = node.attribute(name).filter(|color| !["none", "#FFFFFF", "currentColor"].contains(color))
            else {
                continue;
            };
            assert!(style.contains(&format!("svg [{name}=\"{color}\"] {{ {name}: var(--")), "{name} {color}");
        }
    }
    // What is white in them is the ground, which the style takes away, or stands on the blue of a matrix.
    for rect in all(&document, "rect").filter(|rect| rect.attribute("fill") == Some("#FFFFFF")) {
        assert_eq!(rect.prev_sibling_element().unwrap().tag_name().name(), "title");
    }
}

#[test]
fn names_stay_text_wherever_they_stand() {
    let name = "<script>alert('x')</script>\"'&amp;--><!--</style>\u{0}\n";
    let shown = "<script>alert('x')</script>\"'&amp;--><!--</style>  ";
    let mut record = run(0, name, 0, &[name, "b"], &[(0, 0), (1, 0)]);
    record.lab = name.to_owned();
    record.device = name.to_owned();
    record.command = format!("panal lab {name}");
    record.started_at = name.to_owned();
    record.data.id = name.to_owned();
    record.data.title = name.to_owned();
    record.data.excluded[0].path = name.to_owned();
    record.data.excluded[0].reason = name.to_owned();
    record.data.train.digest = name.to_owned();
    record.model.arch = name.to_owned();
    record.model.init = name.to_owned();
    record.versions.panal = name.to_owned();
    record.phases = vec![name.to_owned(), name.to_owned()];
    record.config = serde_json::json!({ name: name });
    record.predictions[1].id = name.to_owned();
    record.epochs = vec![epoch(0, 0, 0.5), epoch(1, 1, 0.6)];
    let record = with_probabilities(record, |_| 0.9);
    let mut thumbnails = Thumbnails::new();
    thumbnails.insert(name, JPEG.to_vec()).unwrap();
    let html = page_with(&[record], &thumbnails);
    assert_eq!((html.matches("<script").count(), html.matches("</style").count()), (1, 1));
    assert!(!html.contains('\0') && !html.contains("<!--"));
    let document = parsed(&html);
    assert_eq!(text_of(all(&document, "h1").next().unwrap()), shown);
    assert_eq!(all(&document, "img").next().unwrap().attribute("alt"), Some(format!("{shown}: truly b").as_str()));
    assert!(text_of(all(&document, "code").next().unwrap()).contains(&format!("panal lab {shown}")));
    assert_eq!(lines(section(&document, "classes"))[1][1], shown);
}

#[test]
fn without_probabilities_it_says_so_and_shows_the_rest() {
    let mut records = records();
    for prediction in records.iter_mut().filter(|record| record.row == "second").flat_map(|r| &mut r.predictions) {
        prediction.probabilities.clear();
    }
    let html = page(&records);
    let document = parsed(&html);
    let said = text_of(section(&document, "reliability"));
    assert!(said.contains("first: ECE 0.100"), "{said}");
    assert!(said.contains("second: no reliability diagram, for its records hold no usable probabilities."), "{said}");
    let wrong = text_of(section(&document, "wrong"));
    assert!(wrong.contains("Its records hold no probabilities of the images that were wrong."), "{wrong}");
    assert!(!prose(&document).contains("NaN"));
}

#[test]
fn probabilities_of_a_diverged_run_are_warned_of_and_left_out() {
    let mut records = records();
    records[3].predictions[5].probabilities = vec![f32::NAN, f32::NAN];
    let table = Table::new(&records).unwrap();
    assert!(table.rows[0].reliability.is_some() && table.rows[1].reliability.is_none());
    let warning = "second: no reliability, for seed 1: ";
    assert!(table.warnings.iter().any(|said| said.starts_with(warning)), "{:?}", table.warnings);
    assert_eq!(table.rows[1].mistakes[0].probability, 0.75);
    let html = page(&records);
    let document = parsed(&html);
    let aside = text_of(all(&document, "aside").next().unwrap());
    assert!(aside.contains(warning) && !prose(&document).contains("NaN %"), "{aside}");
}

#[test]
fn one_seed_has_no_spread() {
    let html = page(&records()[..2]);
    let document = parsed(&html);
    assert_eq!(lines(section(&document, "scores"))[2][3], "0.625 ± —");
    assert!(text_of(section(&document, "reliability")).contains("first: ECE 0.100 ± —"));
    assert!(text_of(all(&document, "header").next().unwrap()).contains("1 for each row: 0"));
    assert!(text_of(section(&document, "confusion")).contains("first (1 seed)"));
}

#[test]
fn a_row_without_epochs_has_no_curves() {
    let mut records = records();
    records.iter_mut().for_each(|record| record.epochs.clear());
    let html = page(&records);
    let document = parsed(&html);
    assert!(text_of(section(&document, "curves")).contains("first: no epochs were kept."));
    assert!(section(&document, "curves").descendants().all(|node| node.tag_name().name() != "svg"));
}

#[test]
fn a_hundred_classes_are_folded_up_and_their_confusions_told() {
    let names: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Every class is right once; class 7 is twice said to be class 3, class 50 once to be class 51.
    let mut pairs: Vec<(usize, usize)> = (0..100).map(|class| (class, class)).collect();
    pairs.extend([(50, 51), (7, 3), (7, 3)]);
    let record = with_probabilities(run(0, "many", 0, &names, &pairs), |_| 0.6);
    let html = page(&[record]);
    let document = parsed(&html);
    let classes = section(&document, "classes");
    assert_eq!(lines(classes).len(), 101);
    assert!(
        classes
            .descendants()
            .filter(|node| node.has_tag_name("table"))
            .all(|table| { table.ancestors().any(|node| node.has_tag_name("details")) })
    );
    let images = text_of(section(&document, "images"));
    assert!(images.contains("evaluated: 103 images (100 classes of 1 to 3)"), "{images}");
    let confused = lines(section(&document, "confusion"));
    assert_eq!(confused[1..], [vec!["class 7", "class 3", "2", "0.667"], vec!["class 50", "class 51", "1", "0.500"]]);
    assert!(html.len() < 200_000, "{} bytes", html.len());
}

#[test]
fn features_are_shown_where_they_are_handed_in() {
    let features: Vec<Vec<f32>> = (0..30).map(|i| vec![(i % 5) as f32, (i * i % 7) as f32, 0.5]).collect();
    let labels: Vec<usize> = (0..30).map(|i| i % 3).collect();
    let classes = ["<i>ants</i>", "bees", "wasps"].map(str::to_owned);
    let embedding = Embedding::pca("the <b>backbone", &classes, &labels, &features).unwrap();
    let many: Vec<String> = (0..16).map(|class| class.to_string()).collect();
    let other = Embedding::tsne("other", &many, &labels, &features).unwrap();
    let html = page_and(&records(), &Extras { embeddings: vec![embedding, other], ..Extras::default() });
    let document = parsed(&html);
    let figures: Vec<Node<'_, '_>> =
        section(&document, "features").descendants().filter(|node| node.has_tag_name("figure")).collect();
    let said = text_of(figures[0]);
    assert!(said.contains("the <b>backbone: 30 images; the two components have 100 % of the variance"), "{said}");
    assert!(said.contains("<i>ants</i>") && said.contains("component 1 ("), "{said}");
    // A third of the images are ants, and one more circle stands beside their name.
    let circles = figures[0].descendants().filter(|node| node.tag_name().name() == "circle").count();
    assert_eq!(circles, 11);
    let said = text_of(figures[1]);
    assert!(said.contains("other: 30 images; t-SNE with perplexity 9, divergence "), "{said}");
    assert!(said.contains("16 classes, so marks repeat"));
    assert!(!page(&records()).contains("id=\"features\""));
}

#[test]
fn each_point_has_its_image_and_pictures_stand_in_the_page_once() {
    let features: Vec<Vec<f32>> = (0..12).map(|i| vec![i as f32, (i * i % 7) as f32]).collect();
    let labels: Vec<usize> = (0..12).map(|i| i % 2).collect();
    let classes = ["ants", "bees"].map(str::to_owned);
    let images: Vec<PointImage> = (0..12)
        .map(|i| PointImage { id: format!("<{i}>.jpg"), predicted: Some(if i == 3 { 0 } else { labels[i] }) })
        .collect();
    let [pca, tsne] = [Embedding::pca, Embedding::tsne]
        .map(|find| find("b".to_owned(), &classes, &labels, &features).unwrap().with_images(images.clone()).unwrap());
    let mut points = Thumbnails::new();
    for image in &images[1..] {
        points.insert(&image.id, PNG.to_vec()).unwrap();
    }
    let html = page_and(&records(), &Extras { embeddings: vec![pca, tsne], points, ..Extras::default() });
    let document = parsed(&html);
    fetches_nothing(&document);
    // Eleven of twelve images have a picture; each stands there once for two figures.
    let pictures: Vec<_> = all(&document, "image").collect();
    assert_eq!(pictures.len(), 11);
    assert!(pictures.iter().all(|picture| picture.attribute("href").unwrap().starts_with("data:image/png;base64,")));
    let ids: BTreeSet<String> =
        document.descendants().filter_map(|node| node.attribute("id")).map(|id| format!("#{id}")).collect();
    for figure in all(&document, "figure").filter(|figure| figure.attribute("class") == Some("embedding")) {
        let points: Vec<_> = figure.descendants().filter(|node| node.attribute("class") == Some("point")).collect();
        assert_eq!(points.len(), 12);
        for (i, point) in points.iter().enumerate() {
            let card = point.descendants().find(|node| node.tag_name().name() == "use").unwrap();
            assert!(ids.contains(card.attribute("href").unwrap()));
            assert_eq!(point.attribute("tabindex"), Some(if i == 0 { "0" } else { "-1" }));
        }
        assert_eq!(points[3].attribute("aria-label"), Some("<3>.jpg: truly bees, said to be ants"));
        assert!(text_of(points[3]).contains("said to be ants"));
        assert_eq!(points[4].attribute("aria-label"), Some("<4>.jpg: truly ants"));
    }
}

#[test]
fn evidence_stands_beside_the_image_that_was_wrong() {
    let mut evidence = Evidence::default();
    evidence.predicted.insert("val/bees/5.jpg", PNG.to_vec()).unwrap();
    evidence.truth.insert("val/bees/5.jpg", JPEG.to_vec()).unwrap();
    let extras = Extras { evidence: [("second".to_owned(), evidence)].into(), ..Extras::default() };
    let html = page_and(&records(), &extras);
    let document = parsed(&html);
    let wrong = section(&document, "wrong");
    let alts: Vec<_> = wrong.descendants().filter_map(|node| node.attribute("alt")).collect();
    assert_eq!(
        alts,
        ["val/bees/5.jpg: where the evidence for ants lay", "val/bees/5.jpg: where the evidence for bees lay"]
    );
    assert!(text_of(wrong).contains("Grad-CAM"));
    assert!(!page(&records()).contains("Grad-CAM"));
}
