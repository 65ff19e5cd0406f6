package metrics

import "net"

// FreePort returns the address of a free port of a host, "" of "".
func FreePort(host string) string {
	if host == "" {
		return ""
	}
	return net.JoinHostPort(host, "0")
}

// Host returns the host of host:port, "" of "".
func Host(address string) string {
	host, _, _ := net.SplitHostPort(address) // Listen has said what is wrong with it
	return host
}
