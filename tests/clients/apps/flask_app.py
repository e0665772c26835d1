"""Flask with Flask-Session on Redis."""

import datetime
import os

import redis
from flask import Flask, jsonify, request, session
from flask_session import Session
from wsgi_server import serve

app = Flask(__name__)
app.config.update(
    SESSION_TYPE="redis",
    SESSION_REDIS=redis.Redis(host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]),
                              protocol=int(os.environ.get("PROTOCOL", "2"))),
    PERMANENT_SESSION_LIFETIME=datetime.timedelta(seconds=int(os.environ["LIFETIME"])),
)
Session(app)


@app.get("/login")
def login():
    session["user"] = request.args["user"]
    return jsonify(user=session["user"])


@app.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return jsonify(user=session.get("user"), count=session["count"])


@app.get("/fill")
def fill():
    session["fill"] = "x" * int(request.args["size"])
    return size()


@app.get("/size")
def size():
    return jsonify(size=len(session.get("fill", "")))


@app.get("/logout")
def logout():
    session.clear()
    return jsonify(user=None)


serve(app)
