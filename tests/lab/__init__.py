"""The test lab: images, an application, a strict client, an engine, an SSH server."""
