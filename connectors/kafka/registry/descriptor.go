package registry

import (
	"slices"
	"strings"
	"text/scanner"
)

// message is a message of a .proto file, or the file itself: its name and the messages
// that are declared in it, in their order.
type message struct {
	name   string
	inside []*message
}

// messagesOf finds the messages of a .proto file. It looks for their declarations and skips
// all else; a registry has checked the file.
func messagesOf(text string) *message {
	var s scanner.Scanner
	s.Init(strings.NewReader(text))
	s.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings | scanner.ScanChars | scanner.ScanComments | scanner.SkipComments
	s.Error = func(*scanner.Scanner, string) {} // a string in single quotes is more than a character
	file := &message{}
	open := []*message{file}
	var declared string // by the statement that is read
	for previous, t := "", s.Scan(); t != scanner.EOF; t = s.Scan() {
		switch word := s.TokenText(); {
		case t == '{':
			m := &message{name: declared}
			if last := open[len(open)-1]; declared != "" {
				last.inside = append(last.inside, m)
			}
			open, declared = append(open, m), ""
		case t == '}':
			if len(open) > 1 {
				open = open[:len(open)-1]
			}
			declared = ""
		case t == ';':
			declared = ""
		case t == scanner.Ident && (previous == "message" || previous == "group"):
			declared = word
		}
		previous = s.TokenText()
	}
	return file
}

// at follows a path of places, and returns the message's names from the outermost on.
func (m *message) at(path []int) (names []string, ok bool) {
	for _, i := range path {
		if i < 0 || i >= len(m.inside) {
			return nil, false
		}
		m = m.inside[i]
		names = append(names, m.name)
	}
	return names, true
}

// find returns the path to a message.
func (m *message) find(names []string) (path []int, ok bool) {
	for _, name := range names {
		i := slices.IndexFunc(m.inside, func(in *message) bool { return in.name == name })
		if i < 0 {
			return nil, false
		}
		path, m = append(path, i), m.inside[i]
	}
	return path, true
}
