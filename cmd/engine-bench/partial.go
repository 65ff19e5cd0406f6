package main

// partialError is why a report holds less than was wanted.
type partialError struct{ error }

func (e partialError) Unwrap() error { return e.error }

// partial returns a report whose runs ended with err: if some of them were measured the
// report says why there are no more, and is printed beside the error.
func partial(r report, some bool, why *string, err error) (report, error) {
	switch {
	case err == nil:
		return r, nil
	case !some:
		return nil, err
	}
	*why = err.Error()
	return r, partialError{err}
}
