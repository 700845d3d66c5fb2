//! The table and its plots one by one: the same as in the folder, and HTML that stays whole whatever names hold.

use panal_report::{Table, write_results};
use roxmltree::Document;

use crate::common::{epoch, run};

fn table() -> Table {
    let mut records = Vec::new();
    for (index, (name, right)) in [("first", 4), ("a <b> & \"c\"", 2)].into_iter().enumerate() {
        let pairs: Vec<(usize, usize)> = [0, 0, 1, 1]
            .into_iter()
            .enumerate()
            .map(|(i, class)| (class, if i < right { class } else { 1 - class }))
            .collect();
        let mut record = run(index, name, 0, &["ants", "bees"], &pairs);
        record.epochs = vec![epoch(0, 0, 0.5), epoch(0, 1, 0.9)];
        records.push(record);
    }
    Table::new(&records).unwrap()
}

#[test]
fn the_html_table_has_a_line_for_each_row_with_its_scores() {
    let table = table();
    let html = table.html();
    let document = Document::parse(&html).unwrap();
    let lines: Vec<Vec<&str>> = document
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .map(|line| line.children().filter(roxmltree::Node::is_element).map(|cell| cell.text().unwrap()).collect())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0][..4], ["Row", "Precision", "Recall", "F1"]);
    assert_eq!((lines[1][0], lines[1][3]), ("first", "1.000 ± —"));
    assert_eq!(lines[2][0], "a <b> & \"c\"");
    let caption = document.descendants().find(|node| node.has_tag_name("caption")).unwrap();
    let caption: String = caption.descendants().filter_map(|node| node.text()).collect();
    assert!(caption.contains(&table.lab) && caption.contains("4 images evaluated"), "{caption}");
    // The same in Markdown.
    assert!(table.markdown().contains("| first | 1.000 ± — |"), "{}", table.markdown());
}

#[test]
fn the_plots_are_those_of_the_folder() {
    let table = table();
    let pairs: Vec<(usize, usize)> = vec![(0, 0), (1, 1)];
    let mut record = run(0, "one", 0, &["ants", "bees"], &pairs);
    record.epochs = vec![epoch(0, 0, 0.5)];
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &[record.clone()]).unwrap();
    let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let one = Table::new(&[record]).unwrap();
    assert_eq!(one.curves_svg().unwrap(), file("curves.svg"));
    assert_eq!(one.confusion_svg().unwrap(), file("confusion.svg"));
    assert!(table.curves_svg().unwrap().len() > one.curves_svg().unwrap().len());
}
