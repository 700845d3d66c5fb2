//! The images that each row was most sure of and wrong about, with small pictures and where the evidence lay, where these were handed in.

use super::number_of;
use crate::escape::html;
use crate::mistakes::Mistake;
use crate::table::{Row, Table};
use crate::{Evidence, Extras};

pub(super) fn wrong(table: &Table, extras: &Extras) -> String {
    let mut out = "<p>For each row, the images whose wrong class got the highest probability from any seed at the last epoch.</p>\n".to_owned();
    if table.rows.iter().any(|row| extras.evidence.contains_key(&row.name)) {
        out.push_str(
            "<p>Beside each image: where in it the evidence lay for the class that was said, and for the true class (Grad-CAM, arXiv 1610.02391, of \
             the last feature maps and the surest seed). Yellow: most; grey: none. Each picture is scaled by its own strongest \
             place, and shows what the network was given, which may be a part of the image.</p>\n",
        );
    }
    for row in &table.rows {
        out.push_str(&format!("<h3>{}</h3>\n", html(&table.label(row))));
        if row.mistakes.is_empty() {
            let why = if row.confusion.correct() == row.confusion.samples() {
                "No image was wrong."
            } else {
                "Its records hold no probabilities of the images that were wrong."
            };
            out.push_str(&format!("<p>{why}</p>\n"));
            continue;
        }
        let items: String = row.mistakes.iter().map(|mistake| item(row, mistake, extras)).collect();
        out.push_str(&format!("<ol class=\"wrong\">\n{items}</ol>\n"));
    }
    out
}

fn item(row: &Row, mistake: &Mistake, extras: &Extras) -> String {
    let class = |class: usize| html(&row.data.classes[class]);
    let (id, truth, predicted) = (html(&mistake.id), class(mistake.truth), class(mistake.predicted));
    let evidence = extras.evidence.get(&row.name);
    let of = |evidence: fn(&Evidence) -> &crate::Thumbnails, from: Option<&Evidence>| {
        from.and_then(|from| evidence(from).uri(&mistake.id))
    };
    let pictures = [
        (extras.thumbnails.uri(&mistake.id), format!("{id}: truly {truth}"), "the image".to_owned()),
        (
            of(|evidence| &evidence.predicted, evidence),
            format!("{id}: where the evidence for {predicted} lay"),
            format!("for {predicted} (said)"),
        ),
        (
            of(|evidence| &evidence.truth, evidence),
            format!("{id}: where the evidence for {truth} lay"),
            format!("for {truth} (true)"),
        ),
    ];
    let shown: String = pictures
        .into_iter()
        .filter_map(|(uri, alt, caption)| Some((uri?, alt, caption)))
        .map(|(uri, alt, caption)| {
            format!(
                "<figure><img src=\"{uri}\" alt=\"{alt}\" loading=\"lazy\" /><figcaption>{caption}</figcaption></figure>"
            )
        })
        .collect();
    let shown = if shown.is_empty() { shown } else { format!("<div>{shown}</div>") };
    format!(
        "<li>{shown}<p class=\"said\"><span class=\"truth\">truly {truth}</span> <span class=\"predicted\">said to be {predicted}</span> \
         <strong>{:.1} %</strong></p><p class=\"id\">{id}</p><p class=\"id\">wrong with {} of {}</p></li>\n",
        100.0 * mistake.probability,
        mistake.seeds,
        number_of(row.seeds.len(), "seed"),
    )
}
