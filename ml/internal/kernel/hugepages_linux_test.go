package kernel

import "testing"

func TestHugeRange(t *testing.T) {
	const page, base = hugePage, 5 * hugePage
	for _, c := range []struct {
		start         uintptr
		size, skip, n int
	}{
		{base, 0, 0, 0},
		{base, 2*page - 1, 0, 0},
		{base, 2 * page, 0, 2 * page},
		{base, 2*page + 1, 0, 2 * page},
		{base, 3*page - 1, 0, 2 * page},
		{base, 3 * page, 0, 3 * page},
		{base + 1, 2 * page, page - 1, page},
		{base + 64, 3*page - 65, page - 64, page},
		{base + 64, 3*page - 64, page - 64, 2 * page},
		{base - 4, 2*page + 3, 4, page},
		{base - 4, 2*page + 4, 4, 2 * page},
		{base + page/2, 2 * page, page / 2, page},
	} {
		if skip, n := hugeRange(c.start, c.size); skip != c.skip || n != c.n {
			t.Errorf("%d bytes from %#x on: %d bytes after %d, want %d after %d", c.size, c.start, n, skip, c.n, c.skip)
		}
	}
}
