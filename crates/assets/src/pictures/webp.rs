use super::{DAMAGED, Kept, NOT_ALONE, Reader, Result};

const NEEDED: [&[u8; 4]; 7] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// That there is EXIF, and XMP.
const METADATA: u8 = 0b1100;

pub(super) fn keep(content: &[u8]) -> Result<Kept> {
    let mut reader = Reader::new(content);
    let (riff, length, webp) = (reader.array()?, reader.array()?, reader.array()?);
    let size = usize::try_from(u32::from_le_bytes(length)).map_err(|_| DAMAGED)?;
    if riff != *b"RIFF" || webp != *b"WEBP" || size % 2 != 0 {
        return Err(DAMAGED);
    }
    match (size.checked_add(8).ok_or(DAMAGED)?).cmp(&content.len()) {
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Less => return Err(NOT_ALONE),
        std::cmp::Ordering::Greater => return Err(DAMAGED),
    }
    let (mut chunks, mut frames) = (Vec::new(), 0);
    while !reader.left.is_empty() {
        let (kind, length): ([u8; 4], _) = (reader.array()?, reader.array()?);
        let size = usize::try_from(u32::from_le_bytes(length)).map_err(|_| DAMAGED)?;
        let body = reader.take(size.checked_add(size % 2).ok_or(DAMAGED)?)?;
        if !NEEDED.contains(&&kind) {
            continue;
        }
        chunks.extend(kind);
        chunks.extend(length);
        let at = chunks.len();
        chunks.extend(body);
        if let (b"VP8X", Some(flags)) = (&kind, chunks.get_mut(at)) {
            *flags &= !METADATA;
        }
        frames += usize::from(kind == *b"ANMF");
    }
    let size = u32::try_from(chunks.len() + 4).map_err(|_| DAMAGED)?;
    let mut kept = b"RIFF".to_vec();
    kept.extend(size.to_le_bytes());
    kept.extend(b"WEBP");
    kept.append(&mut chunks);
    Ok(Kept { content: kept, frames })
}
