"""What the black-box tests share: the server's process, bytes on sockets, tables of bad inputs."""
