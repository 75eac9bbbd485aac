"""A sign-in with FastAPI and bcrypt, as many write it: the hash within `async def`. With HASH=threads it goes to a thread.

    app.py PORT
"""
import asyncio
import os
import secrets
import sys
import time
from contextlib import asynccontextmanager

import aiosqlite
import bcrypt
import jwt
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

ACCOUNTS, PASSWORD = 64, b"plum-tram-lantern-nine"
SECRET = secrets.token_hex(32)
IN_THREADS = os.environ.get("HASH") == "threads"


class Credentials(BaseModel):
    email: str
    password: str


@asynccontextmanager
async def lifespan(app):
    app.db = await aiosqlite.connect(":memory:")
    await app.db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, hash BLOB)")
    await app.db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id INTEGER, refresh TEXT, created REAL)")
    hashed = bcrypt.hashpw(PASSWORD, bcrypt.gensalt(12))
    for number in range(ACCOUNTS):
        await app.db.execute("INSERT INTO users (email, hash) VALUES (?, ?)", (f"user-{number}@example.org", hashed))
    await app.db.commit()
    yield
    await app.db.close()


app = FastAPI(lifespan=lifespan)


@app.get("/ping")
async def ping():
    return {"ok": True}


@app.post("/login")
async def login(credentials: Credentials):
    async with app.db.execute("SELECT id, hash FROM users WHERE email = ?", (credentials.email,)) as rows:
        user = await rows.fetchone()
    if user is None:
        raise HTTPException(401)
    password = credentials.password.encode()
    if IN_THREADS:
        right = await asyncio.to_thread(bcrypt.checkpw, password, user[1])
    else:
        right = bcrypt.checkpw(password, user[1])
    if not right:
        raise HTTPException(401)
    session, refresh = secrets.token_hex(16), secrets.token_urlsafe(32)
    await app.db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (session, user[0], refresh, time.time()))
    await app.db.commit()
    access = jwt.encode({"sub": str(user[0]), "sid": session, "exp": int(time.time()) + 900}, SECRET, "HS256")
    return {"access_token": access, "refresh_token": refresh}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", loop="asyncio", http="h11")
