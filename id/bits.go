package id

import "encoding/binary"

// Bits is the 128 bits of an ID without its kind: how IDs are kept where there are millions of them. The zero Bits is no
// ID: New never makes it.
type Bits [16]byte

const textLen = 26 // characters of 128 bits, five a character

// Bits takes the ID of that kind apart. It reports false for anything that New does not write.
func (i ID) Bits(k Kind) (Bits, bool) {
	var b Bits
	s := string(i)
	if len(s) != len(k)+1+textLen || s[:len(k)] != string(k) || s[len(k)] != '_' {
		return b, false
	}
	s = s[len(k)+1:]
	if s[0] > '7' { // the first character holds three bits
		return b, false
	}
	var acc uint32
	var bits uint
	at := 0
	for n := 0; n < textLen; n++ {
		v := values[s[n]]
		if v == 0 {
			return Bits{}, false
		}
		acc = acc<<5 | uint32(v-1)
		if bits += 5; n == 0 {
			bits = 3
		}
		if bits >= 8 {
			bits -= 8
			b[at] = byte(acc >> bits)
			at++
		}
	}
	return b, true
}

// values holds one more than the value of each character of the alphabet; 0 is no such character.
var values = func() (t [256]uint8) {
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i) + 1
	}
	return t
}()

// Append writes the ID of that kind after dst.
func (b Bits) Append(dst []byte, k Kind) []byte {
	dst = append(append(dst, k...), '_')
	var text [textLen]byte
	high, low := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	for at := textLen - 2; at >= 14; at -= 2 { // from the last two characters: six times ten bits, and six times more
		binary.LittleEndian.PutUint16(text[at:], pairs[low&1023])
		low >>= 10
	}
	low = binary.BigEndian.Uint64(b[8:])>>60 | high<<4
	for at := 12; at >= 2; at -= 2 {
		binary.LittleEndian.PutUint16(text[at:], pairs[low&1023])
		low >>= 10
	}
	binary.LittleEndian.PutUint16(text[:], pairs[high>>56]) // the first character holds three bits
	return append(dst, text[:]...)
}

// pairs holds two characters for each ten bits.
var pairs = func() (t [1024]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>5]) | uint16(alphabet[i&31])<<8
	}
	return t
}()

// ID is the ID of that kind; "" for the zero Bits.
func (b Bits) ID(k Kind) ID {
	if b.IsZero() {
		return ""
	}
	return ID(b.Append(make([]byte, 0, len(k)+1+textLen), k))
}

// IsZero reports whether b names nothing.
func (b Bits) IsZero() bool { return b == Bits{} }
