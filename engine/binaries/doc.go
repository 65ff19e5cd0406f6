// Package binaries keeps programs on disk, each under its SHA-256. A [Store]
// takes a program from whoever submits it or fetches it from a driver that has
// it, and verifies it while it comes; it gives programs out to other stores. A
// file under a digest's name is always whole and right, because it appears by a
// rename; what is on its way has another name.
package binaries
