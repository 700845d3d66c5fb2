//! The images that each row was most sure of and wrong about, with small pictures where they were handed in.

use super::number_of;
use crate::Thumbnails;
use crate::escape::html;
use crate::mistakes::Mistake;
use crate::table::{Row, Table};

pub(super) fn wrong(table: &Table, thumbnails: &Thumbnails) -> String {
    let mut out = "<p>For each row, the images whose wrong class got the highest probability from any seed at the last epoch.</p>\n".to_owned();
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
        let items: String = row.mistakes.iter().map(|mistake| item(row, mistake, thumbnails)).collect();
        out.push_str(&format!("<ol class=\"wrong\">\n{items}</ol>\n"));
    }
    out
}

fn item(row: &Row, mistake: &Mistake, thumbnails: &Thumbnails) -> String {
    let class = |class: usize| html(&row.data.classes[class]);
    let (id, truth, predicted) = (html(&mistake.id), class(mistake.truth), class(mistake.predicted));
    let picture = thumbnails
        .uri(&mistake.id)
        .map(|uri| format!("<img src=\"{uri}\" alt=\"{id}: truly {truth}\" loading=\"lazy\" />"));
    format!(
        "<li>{}<p class=\"said\"><span class=\"truth\">truly {truth}</span> <span class=\"predicted\">said to be {predicted}</span> \
         <strong>{:.1} %</strong></p><p class=\"id\">{id}</p><p class=\"id\">wrong with {} of {}</p></li>\n",
        picture.unwrap_or_default(),
        100.0 * mistake.probability,
        mistake.seeds,
        number_of(row.seeds.len(), "seed"),
    )
}
