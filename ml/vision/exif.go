package vision

import (
	"bytes"
	"encoding/binary"
)

// The orientation of an image (EXIF 2.32, tag 0x0112) is a number from 1, as it lies, to 8.
// What can't be read stands for 1: the pixels are there all the same.

// jpegOrientation looks for an APP1 segment with EXIF before the first scan.
func jpegOrientation(file []byte) int {
	found := 1
	jpegSegments(file, func(marker byte, data []byte) bool {
		exif, ok := bytes.CutPrefix(data, []byte("Exif\x00\x00"))
		if marker != 0xe1 || !ok {
			return true
		}
		found = tiffOrientation(exif)
		return false
	})
	return found
}

// jpegScans counts the scans. Within their data the byte before a marker is never there.
func jpegScans(file []byte) int {
	return bytes.Count(file[jpegSegments(file, func(byte, []byte) bool { return true }):], []byte{0xff, 0xda})
}

// jpegSegments shows the segments before the first scan, until one isn't wanted, and
// returns where it ended.
func jpegSegments(file []byte, more func(marker byte, data []byte) bool) int {
	at := 2
	for at+4 <= len(file) && file[at] == 0xff {
		marker := file[at+1]
		switch {
		case marker == 0xff: // a fill byte
			at++
			continue
		case marker == 0xda || marker == 0xd9 || marker < 0xc0 && marker != 0x01: // data, or what decoders pass over
			return at
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd7: // without data
			at += 2
			continue
		}
		n := int(binary.BigEndian.Uint16(file[at+2:]))
		if n < 2 || at+2+n > len(file) || !more(marker, file[at+4:at+2+n]) {
			return at
		}
		at += 2 + n
	}
	return min(at, len(file))
}

// pngOrientation looks for a chunk eXIf.
func pngOrientation(file []byte) int {
	for at := 8; at+12 <= len(file); {
		n := int(binary.BigEndian.Uint32(file[at:]))
		if n > len(file)-at-12 {
			break
		}
		if string(file[at+4:at+8]) == "eXIf" {
			return tiffOrientation(file[at+8 : at+8+n])
		}
		at += 12 + n
	}
	return 1
}

// tiffOrientation reads the first directory of a TIFF structure.
func tiffOrientation(tiff []byte) int {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(tiff, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(tiff, []byte("MM\x00*")):
		order = binary.BigEndian
	}
	if order == nil || len(tiff) < 8 {
		return 1
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			break
		}
		const orientation, short = 0x0112, 3
		if order.Uint16(entries) == orientation && order.Uint16(entries[2:]) == short {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return int(v)
			}
			break
		}
		entries = entries[12:]
	}
	return 1
}
