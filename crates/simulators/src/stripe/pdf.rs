/// A page of text as a PDF that any reader opens.
pub(super) fn page(lines: &[String]) -> Vec<u8> {
    let lines: Vec<String> = lines.iter().map(|line| format!("({}) Tj T*", escape(line))).collect();
    let text = format!("BT /F1 11 Tf 14 TL 56 780 Td\n{}\nET", lines.join("\n"));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let size = objects.len() + 1;
    let (mut body, mut offsets) = ("%PDF-1.4\n".to_owned(), Vec::new());
    for (object, number) in objects.iter().zip(1..) {
        offsets.push(format!("{:010} 00000 n \n", body.len()));
        body = format!("{body}{number} 0 obj\n{object}\nendobj\n");
    }
    let (start, offsets) = (body.len(), offsets.concat());
    format!(
        "{body}xref\n0 {size}\n0000000000 65535 f \n{offsets}trailer\n<< /Size {size} /Root 1 0 R >>\n\
         startxref\n{start}\n%%EOF\n"
    )
    .into_bytes()
}

/// Text in the one encoding that every reader's own font has.
fn escape(line: &str) -> String {
    let plain = line.chars().map(|sign| if sign.is_ascii() { sign } else { '?' });
    plain.collect::<String>().replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
}
