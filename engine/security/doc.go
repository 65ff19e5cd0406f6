// Package security says who may talk to whom. Every connection is TLS in which both
// ends prove that they belong here.
//
// Outside loopback that takes certificates of the cluster's authority, or a listener
// doesn't start. On loopback it takes a token, kept in a file that only its owner may
// read and never sent: both ends derive a key from it. So do the processes of a job
// from the job's secret; where there are certificates, calls carry it inside of them
// instead.
package security
