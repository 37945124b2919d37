use super::{DAMAGED, Kept, NOT_ALONE, Reader, Result};

/// Pictures, how long they are shown, and how often.
pub(super) fn keep(content: &[u8]) -> Result<Kept> {
    let mut reader = Reader::new(content);
    let header = reader.take(13)?;
    if !header.starts_with(b"GIF87a") && !header.starts_with(b"GIF89a") {
        return Err(DAMAGED);
    }
    let (mut kept, mut frames) = (header.to_vec(), 0);
    kept.extend(reader.take(table_size(header[10]))?);
    loop {
        let before = reader.left;
        let needed = match reader.byte()? {
            0x3b => break,
            0x2c => {
                let descriptor = reader.take(9)?;
                if !is_within(descriptor, header) {
                    return Err(DAMAGED);
                }
                reader.take(table_size(descriptor[8]))?;
                // How the picture is packed, and the picture.
                reader.byte()?;
                skip_blocks(&mut reader)?;
                frames += 1;
                true
            }
            0x21 => {
                let label = reader.byte()?;
                let first = skip_blocks(&mut reader)?;
                label == 0xf9 || (label == 0xff && first == b"NETSCAPE2.0")
            }
            _ => return Err(DAMAGED),
        };
        if needed {
            kept.extend(&before[..before.len() - reader.left.len()]);
        }
    }
    kept.push(0x3b);
    if reader.left.is_empty() { Ok(Kept { content: kept, frames }) } else { Err(NOT_ALONE) }
}

/// Whether the frame of `descriptor` lies on the canvas of `header`: some programs enlarge that to it.
fn is_within(descriptor: &[u8], header: &[u8]) -> bool {
    let number = |of: &[u8], at: usize| u32::from(u16::from_le_bytes([of[at], of[at + 1]]));
    let fits =
        |at: usize| number(descriptor, at) + number(descriptor, at + 4) <= number(header, at + 6);
    fits(0) && fits(2)
}

/// How long the colour table is of which these flags tell.
fn table_size(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Reads blocks up to the empty one; answers the first.
fn skip_blocks<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let length = reader.byte()?;
    let first = reader.take(length.into())?;
    let mut last = length;
    while last != 0 {
        last = reader.byte()?;
        reader.take(last.into())?;
    }
    Ok(first)
}
