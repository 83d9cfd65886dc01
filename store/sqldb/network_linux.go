package sqldb

import "syscall"

// networkFile names the network file system that the folder is on, or "" for a local one.
func networkFile(dir string) (string, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", err
	}
	return networkKind(uint32(s.Type)), nil
}

// networkKind names a file system by its magic number (statfs(2)) if it is one over a network.
func networkKind(magic uint32) string {
	switch magic {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x01021997:
		return "9P"
	case 0x00c36400:
		return "Ceph"
	case 0x5346414f, 0x6b414653:
		return "AFS"
	case 0x73757245:
		return "Coda"
	case 0x0bd00bd0:
		return "Lustre"
	}
	return ""
}
