#!/usr/bin/env python3
"""Install the build and use the library from there, as its users would: python3 install.py BUILD-FOLDER EXAMPLE.c

The example is built with pkg-config against the shared and the static library and with the CMake package, and runs
against an installed server. The shared library exports nothing but confer_*."""
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

from ports import free_ports

DEADLINE_SECONDS = 60
CMAKE_PROJECT = """cmake_minimum_required(VERSION 3.18)
project(example C)
find_package(Confer REQUIRED)
add_executable(by_cmake {example})
target_link_libraries(by_cmake PRIVATE {target})
"""


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE_SECONDS,
                            **options)
    if result.returncode != 0:
        sys.exit(f"{command} ended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def build_by_pkg_config(prefix, example, folder):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(next(prefix.rglob("confer.pc")).parent)}
    library = next(prefix.rglob("libconfer.a"))

    def flags(*options):
        return shlex.split(run("pkg-config", *options, "confer", env=environment))

    run("cc", "-Wall", "-Wextra", "-Werror", example, "-o", folder / "shared", *flags("--cflags", "--libs"),
        f"-Wl,-rpath,{library.parent}")
    static = [library if flag == "-lconfer" else flag for flag in flags("--static", "--cflags", "--libs")]
    run("cc", example, "-o", folder / "static", *static)
    return [folder / "shared", folder / "static"]


def build_by_cmake(prefix, example, folder):
    programs = []
    for target in ("Confer::confer", "Confer::confer_static"):
        project = folder / target.replace("::", "-")
        project.mkdir()
        (project / "CMakeLists.txt").write_text(CMAKE_PROJECT.format(example=example, target=target))
        run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
        run("cmake", "--build", project / "build")
        programs.append(project / "build" / "by_cmake")
    return programs


def check_symbols(prefix):
    lines = run("nm", "--dynamic", "--defined-only", next(prefix.rglob("libconfer.so"))).splitlines()
    names = [line.split()[-1] for line in lines if line.split()[-2] != "A"]  # A: the name of the symbols' version
    foreign = [name for name in names if not name.startswith("confer_")]
    if not lines or foreign:
        sys.exit(f"libconfer.so exports {len(lines)} symbols, among them {foreign}")


def run_against_server(prefix, programs, folder):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    server = subprocess.Popen([prefix / "bin/confer-server", "--id", "1", "--server", address, "--data",
                               folder / "data"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in server.stdout:
            if " ready " in line:
                break
        else:
            sys.exit("the server did not come up")
        run(prefix / "bin/confer-cli", "--address", address, "init", "--nodes", f"1={address}")
        for program in programs:
            run(program, address)
    finally:
        server.kill()
        server.wait()


def main():
    build, example = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix = folder / "installed"
        run("cmake", "--install", build, "--prefix", prefix)
        check_symbols(prefix)
        programs = build_by_pkg_config(prefix, example, folder) + build_by_cmake(prefix, example, folder)
        run_against_server(prefix, programs, folder)
        print(f"{len(programs)} programs built against {prefix.name} libraries ran")


if __name__ == "__main__":
    main()
