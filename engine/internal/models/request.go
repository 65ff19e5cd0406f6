package models

// Request is a user's wish from outside the program: engine-submit model.
type Request struct {
	Model    string
	Digest   string // of the version to go back to
	Path     string // of the file to publish, "" for a rollback
	Rollback bool
	Answer   func(digest string, err error) // is called once; it may block for a while
}
